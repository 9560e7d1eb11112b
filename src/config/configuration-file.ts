import { InputError, messageOf } from '../base/errors.js';
import { parseYaml, type DocumentPath, type YamlDocument } from '../base/yaml.js';
import { withoutFields, type ConfigurationProblem, type ReadResult } from './schema/read-configuration.js';
import { nearest } from './nearest.js';

/** A configuration file; its name is for messages. */
export interface ConfigFile {
  readonly name: string;
  readonly text: string;
}

/** A document of a configuration file, with what messages need. */
export interface ConfigDocument {
  readonly value: Readonly<Record<string, unknown>>;
  /** `kube-proxy.yaml:12`, of the value at the path. */
  where(path: DocumentPath): string;
  readonly warnings: readonly string[];
}

export interface ConfigDocuments {
  readonly kubeProxy: ConfigDocument | undefined;
  readonly kubeIpvs: ConfigDocument | undefined;
}

/** The kinds of documents in a configuration file. */
export const documentKinds = {
  KubeProxyConfiguration: { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', key: 'kubeProxy' },
  KubeIpvsConfiguration: { apiVersion: 'kube-ipvs.dev/v1alpha1', key: 'kubeIpvs' },
} as const;

/** `ipvs.excludeCIDRs[1]`. */
export const formatPath = (path: DocumentPath): string =>
  path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '') || 'the document';

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const kindOf = (document: YamlDocument, file: ConfigFile): keyof typeof documentKinds => {
  const value = isMapping(document.value) ? document.value : {};
  const { apiVersion, kind } = value;
  for (const known of ['KubeProxyConfiguration', 'KubeIpvsConfiguration'] as const)
    if (kind === known && apiVersion === documentKinds[known].apiVersion) return known;
  const line = document.line(kind === undefined ? [] : ['kind']);
  throw new InputError(
    `${file.name}:${line}: a configuration file must contain apiVersion: ${documentKinds.KubeProxyConfiguration.apiVersion}, kind: KubeProxyConfiguration, ` +
      `or apiVersion: ${documentKinds.KubeIpvsConfiguration.apiVersion}, kind: KubeIpvsConfiguration; this document has ` +
      `apiVersion: ${JSON.stringify(apiVersion ?? null)}, kind: ${JSON.stringify(kind ?? null)}`,
  );
};

const documentsOf = (file: ConfigFile): readonly YamlDocument[] => {
  let documents: readonly YamlDocument[];
  try {
    documents = parseYaml(file.text).filter(({ value }) => value !== null);
  } catch (error) {
    throw new InputError(`${file.name}: ${messageOf(error)}`);
  }
  if (documents.length === 0) throw new InputError(`${file.name}: no configuration: the file is empty`);
  return documents;
};

/**
 * Finds the two kinds of documents in all configuration files. Throws an InputError for another kind, or for the same kind
 * twice.
 */
export const readDocuments = (files: readonly ConfigFile[]): ConfigDocuments => {
  const found: { kubeProxy?: ConfigDocument; kubeIpvs?: ConfigDocument } = {};
  for (const file of files) {
    for (const document of documentsOf(file)) {
      const kind = kindOf(document, file);
      const { key } = documentKinds[kind];
      const where = (path: DocumentPath) => `${file.name}:${document.line(path)}`;
      if (found[key] !== undefined)
        throw new InputError(`${where([])}: a second ${kind}; the first is at ${found[key].where([])}`);
      const warnings = document
        .duplicateKeys()
        .map(({ key, line }) => `${file.name}:${line}: ${key} is set twice; the last value applies`);
      found[key] = { value: document.value as ConfigDocument['value'], where, warnings };
    }
  }
  return { kubeProxy: found.kubeProxy, kubeIpvs: found.kubeIpvs };
};

const valueAt = (value: unknown, path: DocumentPath): unknown =>
  path.reduce<unknown>(
    (inner, step) => (inner as Record<string | number, unknown> | undefined)?.[step],
    value,
  );

const formatValue = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
};

/** Names a value by where it was set: `kube-proxy.yaml:12: ipvs.syncPeriod`, or `--ipvs-sync-period`. */
export type Origin = (path: DocumentPath) => string;

/** The origin of the values of a document; `defaults` without one. */
export const documentOrigin =
  (document: ConfigDocument | undefined): Origin =>
  (path) =>
    `${document?.where(path) ?? 'defaults'}: ${formatPath(path)}`;

const problemText = (
  { path, must, remedy }: ConfigurationProblem,
  input: unknown,
  origin: Origin,
): string => {
  const value = valueAt(input, path);
  const is = isMapping(value) || value === undefined ? '' : `; it is ${formatValue(value)}`;
  return `${origin(path)} ${must}${is}${remedy === undefined ? '' : `. ${remedy}`}`;
};

/** A warning for each unknown field, with the known field that was probably meant. */
const unknownFieldWarnings = (
  unknownFields: readonly DocumentPath[],
  defaults: unknown,
  origin: Origin,
): readonly string[] =>
  unknownFields.map((path) => {
    const siblings = valueAt(defaults, path.slice(0, -1));
    const meant = nearest(String(path.at(-1)), isMapping(siblings) ? Object.keys(siblings) : []);
    const hint = meant === undefined ? '' : `; did you mean ${formatPath([...path.slice(0, -1), meant])}?`;
    return `${origin(path)} is unknown and ignored${hint}`;
  });

const isWithin = (path: DocumentPath, other: DocumentPath): boolean =>
  other.every((step, index) => path[index] === step);

export interface ReadRules<T> {
  /** Single fields. */
  readonly read: (input: unknown) => ReadResult<T>;
  /** Checks fields against each other. */
  readonly validate: (value: T) => readonly ConfigurationProblem[];
  readonly origin: Origin;
}

/**
 * Reads and checks a document. Throws one InputError for all problems, each with its place, its field, what is allowed and
 * the value.
 */
export const readAndValidate = <T>(
  input: unknown,
  { read, validate, origin }: ReadRules<T>,
): { readonly value: T; readonly warnings: readonly string[] } => {
  const { value, problems, unknownFields } = read(input);
  const wrong = problems.map(({ path }) => path);
  // Invalid fields count as left out.
  const rest = value ?? read(withoutFields(input, wrong)).value;
  const further = (rest === undefined ? [] : validate(rest)).filter(
    ({ path }) => !wrong.some((other) => isWithin(other, path) || isWithin(path, other)),
  );
  const warnings = unknownFieldWarnings(unknownFields, read({}).value, origin);
  if (value !== undefined && further.length === 0) return { value, warnings };
  const texts = [...problems, ...further].map((problem) => problemText(problem, input, origin));
  throw new InputError([...texts, ...warnings].join('\n'));
};
