import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, messageOf } from '../base/errors.js';
import { parseYaml, type DocumentPath, type YamlDocument } from '../base/yaml.js';
import type { EndpointSlice, EndpointSliceKey } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import type { Service, ServiceKey } from '../model/service.js';
import { toEndpointSlice, toNode, toService } from '../watch/objects.js';
import { MalformedObject } from '../watch/schemas.js';
import type { ClusterObjects } from './render-node.js';

/** What files hold, and what of it can't be served, a line each. */
export interface ReadObjects extends ClusterObjects {
  readonly problems: readonly string[];
}

interface Found {
  readonly services: Map<ServiceKey, Service>;
  readonly slices: Map<EndpointSliceKey, EndpointSlice>;
  readonly nodes: Map<string, Node>;
  readonly problems: string[];
}

const put = <Key, Value>(
  into: Map<Key, Value>,
  {
    key,
    value,
    problems,
  }: { readonly key: Key; readonly value: Value | undefined; readonly problems: readonly string[] },
): readonly string[] => {
  // As with kubectl apply, the last one of a name counts.
  if (value === undefined) into.delete(key);
  else into.set(key, value);
  return problems;
};

const kinds: Readonly<Record<string, (object: unknown, found: Found) => readonly string[]>> = {
  'v1 Service': (object, { services }) => put(services, toService(object)),
  'discovery.k8s.io/v1 EndpointSlice': (object, { slices }) => put(slices, toEndpointSlice(object)),
  'v1 Node': (object, { nodes }) => put(nodes, toNode(object)),
};

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where an object stands: `service.yaml`, line by document and path. */
interface Place {
  readonly name: string;
  readonly document: YamlDocument;
  readonly path: DocumentPath;
}

const where = ({ name, document, path }: Place, field: DocumentPath = []): string =>
  `${name}:${document.line([...path, ...field])}`;

/** The steps of `spec.ports[0].port`. */
const fieldPath = (field: string): DocumentPath =>
  [...field.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, name]) =>
    index === undefined ? (name ?? '') : Number(index),
  );

/** Takes one object, or each of a list; objects of a typed list (ServiceList) need no kind of their own. */
const takeObject = (object: unknown, found: Found, place: Place): void => {
  if (!isMapping(object) || typeof object['kind'] !== 'string' || typeof object['apiVersion'] !== 'string')
    throw new InputError(`${where(place)}: is no Kubernetes object: it lacks apiVersion and kind`);
  const { apiVersion, kind, items } = object;
  if (kind.endsWith('List') && Array.isArray(items)) {
    const typed = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) };
    items.forEach((item: unknown, index) =>
      takeObject(isMapping(item) ? { ...typed, ...item } : item, found, {
        ...place,
        path: [...place.path, 'items', index],
      }),
    );
    return;
  }
  try {
    const problems = kinds[`${apiVersion} ${kind}`]?.(object, found) ?? [];
    found.problems.push(...problems.map((problem) => `${where(place)}: ${problem}`));
  } catch (error) {
    const field = error instanceof MalformedObject ? fieldPath(error.field) : [];
    throw new InputError(`${where(place, field)}: ${messageOf(error)}`);
  }
};

const takeText = (text: string, name: string, found: Found): void => {
  let documents;
  try {
    documents = parseYaml(text).filter(({ value }) => value !== null);
  } catch (error) {
    throw new InputError(`${name}: ${messageOf(error)}`);
  }
  for (const document of documents) takeObject(document.value, found, { name, document, path: [] });
};

const manifestName = /\.(ya?ml|json)$/;

const filesOf = (path: string): readonly string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => manifestName.test(name) && !name.startsWith('.'))
        .toSorted()
        .map((name) => join(path, name))
    : [path];

const read = (path: string | number, name: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`${name}: ${messageOf(error)}`);
  }
};

const expand = (path: string): readonly string[] => {
  try {
    return filesOf(path);
  } catch (error) {
    throw new InputError(`-f ${path}: ${messageOf(error)}`);
  }
};

/** Reads Services, EndpointSlices and Nodes from files, the manifests of folders, and `-`, standard input. A file that can't be read whole is an InputError with file and line. */
export const readObjects = (paths: readonly string[]): ReadObjects => {
  const found: Found = { services: new Map(), slices: new Map(), nodes: new Map(), problems: [] };
  for (const path of paths) {
    if (path === '-') takeText(read(0, 'standard input'), 'standard input', found);
    else for (const file of expand(path)) takeText(read(file, file), file, found);
  }
  const { services, slices, nodes, problems } = found;
  return { services: services.values(), slices: slices.values(), nodes: nodes.values(), problems };
};
