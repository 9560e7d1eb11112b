import type { Parsed } from '../objects/parse-objects.js';
import { MalformedObject } from '../objects/schemas.js';
import { sameStructure } from '../store/structural-equality.js';

export interface KeyedChange<Key, Value> {
  readonly key: Key;
  readonly value: Value | undefined;
}

/** The objects of one kind: their path on the API server, and the store that keeps them. */
export interface Collection<Key extends string, Value> {
  /** For logs and metrics, as `services`. */
  readonly name: string;
  /** As `/api/v1/services`. */
  readonly path: string;
  /** labelSelector and fieldSelector. */
  readonly selectors: Readonly<Record<string, string>>;
  /** Throws MalformedObject. */
  read(object: unknown): Parsed<Key, Value>;
  /** The object in the store with this key. */
  current(key: Key): Value | undefined;
  /** Replaces all objects in the store, in one step. */
  replace(objects: ReadonlyMap<Key, Value>): void;
  /** Applies all changes in one step. */
  apply(changes: readonly KeyedChange<Key, Value>[]): void;
  /** Called with all problems of an object each time it comes, also when it has none. */
  report(object: string, problems: readonly string[]): void;
}

/** A parsed object: a change, or the key, if it could be read, of a malformed one. */
type Reading<Key, Value> =
  | { readonly change: KeyedChange<Key, Value> }
  | { readonly malformed: string | undefined };

/** Passes objects on to the store: single ones as changes, those of a list together at its end. */
export class ListBuffer<Key extends string, Value> {
  #listed: Map<Key, Value> | undefined;
  #changes: KeyedChange<Key, Value>[] = [];
  #malformed = 0;

  constructor(private readonly collection: Collection<Key, Value>) {}

  /** How many objects could not be read. */
  get malformed(): number {
    return this.#malformed;
  }

  /** The following objects belong to a new list, until `commitList` or `discardList`. */
  beginList(): void {
    this.#listed = new Map();
  }

  get isListing(): boolean {
    return this.#listed !== undefined;
  }

  /** An added or changed object. A malformed one keeps its last state in the store. */
  upsert(object: unknown): void {
    const reading = this.#read(object);
    if ('change' in reading) this.#add(reading.change);
    else if (reading.malformed !== undefined) this.#keepCurrent(reading.malformed as Key);
  }

  /** A deleted object, in its last state. */
  remove(object: unknown): void {
    const reading = this.#read(object);
    const key = 'change' in reading ? reading.change.key : (reading.malformed as Key | undefined);
    if (key === undefined) return;
    this.collection.report(key, []);
    this.#add({ key, value: undefined });
  }

  /** Passes on the changes since the last call. */
  flush(): void {
    const changes = this.#changes;
    if (changes.length === 0) return;
    this.#changes = [];
    this.collection.apply(changes);
  }

  /** Ends a list, whose objects replace all others. Returns their number. */
  commitList(): number {
    const listed = this.#listed ?? new Map<Key, Value>();
    this.#listed = undefined;
    this.collection.replace(listed);
    return listed.size;
  }

  /** Discards an incomplete list. */
  discardList(): void {
    this.#listed = undefined;
  }

  #read(object: unknown): Reading<Key, Value> {
    try {
      const { key, value, problems } = this.collection.read(object);
      this.collection.report(key, problems);
      return { change: { key, value } };
    } catch (error) {
      if (!(error instanceof MalformedObject)) throw error;
      this.#malformed += 1;
      this.collection.report(error.object ?? '', [error.message]);
      return { malformed: error.object };
    }
  }

  #keepCurrent(key: Key): void {
    const current = this.collection.current(key);
    if (current !== undefined) this.#listed?.set(key, current);
  }

  #add(change: KeyedChange<Key, Value>): void {
    if (this.#listed === undefined) this.#changes.push(change);
    else if (change.value === undefined) this.#listed.delete(change.key);
    else this.#listed.set(change.key, this.#reuseIfEqual(change.key, change.value));
  }

  /** Reuses known equal objects, so that a list does not keep a second copy of them in memory. */
  #reuseIfEqual(key: Key, value: Value): Value {
    const current = this.collection.current(key);
    return current !== undefined && sameStructure(current, value) ? current : value;
  }
}
