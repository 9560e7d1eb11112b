import { InputError, messageOf } from '../../base/errors.js';
import { parseYaml, type DocumentPath, type YamlDocument } from '../../base/yaml.js';
import { isRecord } from '../../base/records.js';
import type { EndpointSlice, EndpointSliceKey } from '../../model/endpoint.js';
import type { Node } from '../../model/node.js';
import type { Pod, PodKey } from '../../model/pod.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { toEndpointSlice, toNode, toService, type Parsed } from '../objects/parse-objects.js';
import { toPod } from '../objects/parse-pod.js';
import { MalformedObject } from '../objects/schemas.js';

/** A file's name, which also defines the order of files, and its text. */
export interface ManifestText {
  readonly name: string;
  readonly text: string;
}

type ManifestObject =
  | ({ readonly kind: 'Service' } & Parsed<ServiceKey, Service>)
  | ({ readonly kind: 'EndpointSlice' } & Parsed<EndpointSliceKey, EndpointSlice>)
  | ({ readonly kind: 'Node' } & Parsed<string, Node>)
  | ({ readonly kind: 'Pod' } & Parsed<PodKey, Pod>);

const manifestName = /^[^.].*\.(ya?ml|json)$/;

/** Whether a file in a folder is a manifest: `.yaml`, `.yml` or `.json`, and not hidden. */
export const isManifestName = (name: string): boolean => manifestName.test(name);

/** The content of one file. */
export interface Manifest {
  readonly name: string;
  readonly objects: readonly ManifestObject[];
  /** Number of objects of other kinds. */
  readonly ignored: number;
  /** Skipped parts, each with file, line and field. */
  readonly problems: readonly string[];
}

/** The merged content of all files. */
export interface ManifestState {
  readonly services: ReadonlyMap<ServiceKey, Service>;
  readonly endpointSlices: ReadonlyMap<EndpointSliceKey, EndpointSlice>;
  /** By name. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<PodKey, Pod>;
  /** Objects that occur twice. */
  readonly problems: readonly string[];
}

type ObjectReader = (object: unknown, serviceProxyName: string) => ManifestObject;

const readers: ReadonlyMap<string, ObjectReader> = new Map<string, ObjectReader>([
  ['v1 Service', (object, name) => ({ kind: 'Service', ...toService(object, name) })],
  [
    'discovery.k8s.io/v1 EndpointSlice',
    (object, name) => ({ kind: 'EndpointSlice', ...toEndpointSlice(object, name) }),
  ],
  ['v1 Node', (object) => ({ kind: 'Node', ...toNode(object) })],
  ['v1 Pod', (object) => ({ kind: 'Pod', ...toPod(object) })],
]);

/** An object in a file, with its position. */
interface LocatedObject {
  readonly value: unknown;
  readonly document: YamlDocument;
  readonly documentNumber: number;
  readonly path: DocumentPath;
}

const locationOf = (
  file: string,
  { document, documentNumber, path }: LocatedObject,
  field: DocumentPath = [],
): string => `${file}:${document.line([...path, ...field])}: document ${documentNumber}`;

/** The items of a v1 List, or of a ServiceList and the like, whose items may omit their kind; any other object itself. */
const unfold = (found: LocatedObject): readonly LocatedObject[] => {
  const { value, path } = found;
  if (!isRecord(value) || typeof value['kind'] !== 'string' || !value['kind'].endsWith('List'))
    return [found];
  const items: readonly unknown[] = Array.isArray(value['items']) ? value['items'] : [];
  const kind = value['kind'].slice(0, -'List'.length);
  const common = kind === '' ? {} : { apiVersion: value['apiVersion'], kind };
  return items.flatMap((item, index) =>
    unfold({
      ...found,
      value: isRecord(item) ? { ...common, ...item } : item,
      path: [...path, 'items', index],
    }),
  );
};

/** The number of the document that contains a line of the text, from 1. */
const documentAt = (text: string, line: number): number => {
  const separators = text
    .split('\n', line)
    .flatMap((content, index) => (/^---(\s|$)/.test(content) ? [index] : []));
  return Math.max(1, separators.length + (separators[0] === 0 ? 0 : 1));
};

const parseDocuments = ({ name, text }: ManifestText): readonly YamlDocument[] => {
  try {
    return parseYaml(text);
  } catch (error) {
    const message = messageOf(error);
    const line = /^line (\d+): /.exec(message);
    if (line === null) throw new InputError(`${name}: ${message}`, { cause: error });
    const number = Number(line[1]);
    throw new InputError(
      `${name}:${number}: document ${documentAt(text, number)}: ${message.slice(line[0].length)}`,
    );
  }
};

const readObject = (
  file: string,
  found: LocatedObject,
  serviceProxyName: string,
): ManifestObject | undefined => {
  const { value } = found;
  if (!isRecord(value) || typeof value['apiVersion'] !== 'string' || typeof value['kind'] !== 'string')
    throw new InputError(
      `${locationOf(file, found)}: not a Kubernetes object: apiVersion and kind are missing`,
    );
  try {
    return readers.get(`${value['apiVersion']} ${value['kind']}`)?.(value, serviceProxyName);
  } catch (error) {
    if (!(error instanceof MalformedObject)) throw error;
    throw new InputError(`${locationOf(file, found, error.path)}: ${error.message}`);
  }
};

const describe = ({ kind, key }: ManifestObject): string => `${kind} ${key}`;

/**
 * Reads one file: YAML or JSON, several documents, Lists, for the instance of this serviceProxyName. An invalid object is an
 * InputError with file, line, document and field.
 */
export const readManifest = (manifest: ManifestText, serviceProxyName = ''): Manifest => {
  const { name } = manifest;
  const found = parseDocuments(manifest)
    .map((document, index) => ({ value: document.value, document, documentNumber: index + 1, path: [] }))
    .filter(({ value }) => value !== null && value !== undefined)
    .flatMap(unfold);
  const objects: ManifestObject[] = [];
  const problems: string[] = [];
  let ignored = 0;
  for (const one of found) {
    const object = readObject(name, one, serviceProxyName);
    if (object === undefined) ignored += 1;
    else objects.push(object);
    for (const problem of object?.problems ?? [])
      problems.push(`${locationOf(name, one)}: ${object && describe(object)}: ${problem}`);
  }
  return { name, objects, ignored, problems };
};

/** Merges files. Of an object that occurs twice the first counts, by file name, then from top to bottom. */
export const mergeManifests = (manifests: readonly Manifest[]): ManifestState => {
  const services = new Map<ServiceKey, Service>();
  const endpointSlices = new Map<EndpointSliceKey, EndpointSlice>();
  const nodes = new Map<string, Node>();
  const pods = new Map<PodKey, Pod>();
  const problems: string[] = [];
  const files = new Map<string, string>();
  for (const { name, objects } of manifests.toSorted((a, b) => (a.name < b.name ? -1 : 1)))
    for (const object of objects) {
      const first = files.get(describe(object));
      if (first !== undefined) {
        problems.push(`${name}: ${describe(object)}: stands in ${first} too; the one there counts`);
        continue;
      }
      files.set(describe(object), name);
      if (object.kind === 'Service') addObject(services, object);
      else if (object.kind === 'EndpointSlice') addObject(endpointSlices, object);
      else if (object.kind === 'Pod') addObject(pods, object);
      else addObject(nodes, object);
    }
  return { services, endpointSlices, nodes, pods, problems };
};

const addObject = <Key, Value>(into: Map<Key, Value>, { key, value }: Parsed<Key, Value>): void => {
  if (value !== undefined) into.set(key, value);
};

/** Reads and merges files. The first invalid one is an InputError; `problems` has the skipped parts of valid ones. */
export const readManifests = (texts: readonly ManifestText[], serviceProxyName = ''): ManifestState => {
  const manifests = texts.map((text) => readManifest(text, serviceProxyName));
  const state = mergeManifests(manifests);
  return { ...state, problems: [...manifests.flatMap(({ problems }) => problems), ...state.problems] };
};
