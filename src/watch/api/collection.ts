import type { Parsed } from '../objects/parse-objects.js';
import { MalformedObject } from '../objects/schemas.js';
import { sameStructure } from '../store/structural-equality.js';

export interface KeyedChange<Key, Value> {
  readonly key: Key;
  readonly value: Value | undefined;
}

/** The objects of one kind: where the API server has them and where they are kept here. */
export interface Collection<Key extends string, Value> {
  /** For people and metrics, as `services`. */
  readonly name: string;
  /** As `/api/v1/services`. */
  readonly path: string;
  /** labelSelector and fieldSelector. */
  readonly selectors: Readonly<Record<string, string>>;
  /** Throws MalformedObject. */
  read(object: unknown): Parsed<Key, Value>;
  /** What is kept under this key now. */
  current(key: Key): Value | undefined;
  /** Makes the kept objects exactly these, in one step. */
  replace(objects: ReadonlyMap<Key, Value>): void;
  /** Takes in all changes in one step. */
  apply(changes: readonly KeyedChange<Key, Value>[]): void;
  /** Told of everything that is wrong with an object each time it comes; an empty list: nothing. */
  report(object: string, problems: readonly string[]): void;
}

/** What came of an object: a change, or the key (if that much could be read) of one too malformed to know what it says. */
type Reading<Key, Value> =
  | { readonly change: KeyedChange<Key, Value> }
  | { readonly malformed: string | undefined };

/** Takes in objects as they arrive: single ones as changes, the ones of a list together at its end. */
export class ListBuffer<Key extends string, Value> {
  #listed: Map<Key, Value> | undefined;
  #changes: KeyedChange<Key, Value>[] = [];
  #malformed = 0;

  constructor(private readonly collection: Collection<Key, Value>) {}

  /** How many objects could not be read. */
  get malformed(): number {
    return this.#malformed;
  }

  /** From now on objects are those of a new list, until `deliver` or `drop`. */
  beginList(): void {
    this.#listed = new Map();
  }

  get isListing(): boolean {
    return this.#listed !== undefined;
  }

  /** An object that is there. One too malformed to be read keeps what it was before. */
  upsert(object: unknown): void {
    const reading = this.#read(object);
    if ('change' in reading) this.#add(reading.change);
    else if (reading.malformed !== undefined) this.#keepCurrent(reading.malformed as Key);
  }

  /** An object that is gone, as it was before or after that. */
  remove(object: unknown): void {
    const reading = this.#read(object);
    const key = 'change' in reading ? reading.change.key : (reading.malformed as Key | undefined);
    if (key === undefined) return;
    this.collection.report(key, []);
    this.#add({ key, value: undefined });
  }

  /** Passes on what has come since the last time. */
  flush(): void {
    const changes = this.#changes;
    if (changes.length === 0) return;
    this.#changes = [];
    this.collection.apply(changes);
  }

  /** Ends a list: its objects are all there are. Returns how many. */
  commitList(): number {
    const listed = this.#listed ?? new Map<Key, Value>();
    this.#listed = undefined;
    this.collection.replace(listed);
    return listed.size;
  }

  /** Forgets a list that did not come to its end. */
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

  /** A list that says what is known already must not be kept twice in memory while it comes. */
  #reuseIfEqual(key: Key, value: Value): Value {
    const current = this.collection.current(key);
    return current !== undefined && sameStructure(current, value) ? current : value;
  }
}
