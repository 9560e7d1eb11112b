/** What the test API server holds: objects by kind, their versions, and the history that watches are served from. */

export type Kind = 'Service' | 'EndpointSlice' | 'Node' | 'Pod';

/** What goes out in an object's place, whatever it is. */
export const wire = Symbol('wire');

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly resourceVersion?: string;
  readonly [field: string]: unknown;
}

/** An API object as a test writes it; what is missing of metadata the server adds. */
export interface ApiObject {
  readonly kind: Kind;
  readonly apiVersion?: string;
  readonly metadata: Metadata;
  readonly [wire]?: unknown;
  readonly [field: string]: unknown;
}

export interface HistoryEntry {
  readonly version: number;
  readonly before: ApiObject | undefined;
  readonly after: ApiObject | undefined;
  /** The object with the version of this change: what a DELETED event carries. */
  readonly last: ApiObject;
}

export type Selector = (object: ApiObject) => boolean;

const apiVersions: Readonly<Record<Kind, string>> = {
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Node: 'v1',
  Pod: 'v1',
};

export const objectKey = ({ kind, metadata }: Pick<ApiObject, 'kind' | 'metadata'>): string =>
  kind === 'Node' ? metadata.name : `${metadata.namespace ?? 'default'}/${metadata.name}`;

const fieldOf = (object: ApiObject, path: string): string => {
  let value: unknown = object;
  for (const step of path.split('.'))
    value = typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined;
  return typeof value === 'string' ? value : '';
};

/** Understands what proxies ask for: `!label` and `field=value`, `field!=value`, joined by commas. */
export const selectorOf = (query: URLSearchParams): Selector => {
  const terms = (name: string): string[] => (query.get(name) ?? '').split(',').filter((term) => term !== '');
  const labels = terms('labelSelector').map((term) => /^!?([^=]+)(?:=(.*))?$/.exec(term) ?? []);
  const fields = terms('fieldSelector').map((term) => /^([^!=]+)(!?=)(.*)$/.exec(term) ?? []);
  return (object) =>
    labels.every(([, label = '', value]) => object.metadata.labels?.[label] === value) &&
    fields.every(
      ([, path = '', operator, value]) => (fieldOf(object, path) === value) === (operator === '='),
    );
};

export class ApiObjects {
  readonly #objects = new Map<Kind, Map<string, ApiObject>>([
    ['Service', new Map()],
    ['EndpointSlice', new Map()],
    ['Node', new Map()],
    ['Pod', new Map()],
  ]);
  #history = new Map<Kind, HistoryEntry[]>();
  #version = 100;
  /** Changes up to this version are forgotten. */
  #compacted = 0;
  readonly #listeners = new Set<(kind: Kind, entry: HistoryEntry) => void>();

  get version(): number {
    return this.#version;
  }

  get compacted(): number {
    return this.#compacted;
  }

  put(object: ApiObject): ApiObject {
    const before = this.#of(object.kind).get(objectKey(object));
    const version = this.#nextVersion();
    const named = object.kind === 'Node' ? {} : { namespace: 'default' };
    const stored: ApiObject = {
      ...object,
      apiVersion: apiVersions[object.kind],
      metadata: {
        uid: before?.metadata.uid ?? `00000000-0000-4000-8000-${String(version).padStart(12, '0')}`,
        creationTimestamp: '2026-11-22T18:00:00Z',
        ...named,
        ...object.metadata,
        resourceVersion: String(version),
      },
    };
    this.#of(object.kind).set(objectKey(stored), stored);
    this.#record(object.kind, { version, before, after: stored, last: stored });
    return stored;
  }

  delete(kind: Kind, key: string): void {
    const before = this.#of(kind).get(key);
    if (before === undefined) throw new Error(`no ${kind} ${key} to delete`);
    const version = this.#nextVersion();
    this.#of(kind).delete(key);
    const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } };
    this.#record(kind, { version, before, after: undefined, last });
  }

  /** Sorted by key, as etcd has them. */
  list(kind: Kind): readonly ApiObject[] {
    return [...this.#of(kind)].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** The list as it was at a version of the history: pages of one list show one moment. */
  listAt(kind: Kind, version: number): readonly ApiObject[] {
    const objects = new Map(this.#of(kind));
    for (const { before, last } of this.since(kind, version).toReversed()) {
      if (before === undefined) objects.delete(objectKey(last));
      else objects.set(objectKey(last), before);
    }
    return [...objects].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  since(kind: Kind, version: number): readonly HistoryEntry[] {
    return (this.#history.get(kind) ?? []).filter((entry) => entry.version > version);
  }

  /** Forgets the history: who asks for changes since an older version is told that it is gone. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history = new Map();
  }

  /** As after etcd was restored from a copy: objects stay, versions start again far below. */
  rewind(version: number): void {
    this.#version = version;
    this.#history = new Map();
  }

  listen(listener: (kind: Kind, entry: HistoryEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #of(kind: Kind): Map<string, ApiObject> {
    const objects = this.#objects.get(kind);
    if (objects === undefined) throw new Error(`the test server has no ${kind}`);
    return objects;
  }

  #nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }

  #record(kind: Kind, entry: HistoryEntry): void {
    const history = this.#history.get(kind) ?? [];
    history.push(entry);
    this.#history.set(kind, history);
    for (const listener of this.#listeners) listener(kind, entry);
  }
}
