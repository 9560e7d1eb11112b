import type { Decoded } from '../../../src/netlink/codec/attributes.js';
import type { chain, element, rule, set } from '../../../src/kernel/nftables/attributes.js';
import type { NetfilterFamily } from '../../../src/kernel/nfnetlink.js';
import { Refusal } from './answer.js';

export interface FakeRule {
  readonly handle: bigint;
  readonly values: Decoded<typeof rule>;
}

export interface FakeChain {
  readonly handle: bigint;
  readonly values: Decoded<typeof chain>;
  readonly rules: readonly FakeRule[];
}

export interface FakeSet {
  readonly handle: bigint;
  readonly values: Decoded<typeof set>;
  /** By the bytes of their keys. */
  readonly elements: Map<string, Decoded<typeof element>>;
}

export interface FakeTable {
  readonly family: NetfilterFamily;
  readonly name: string;
  readonly flags: number;
  readonly handle: bigint;
  readonly chains: Map<string, FakeChain>;
  readonly sets: Map<string, FakeSet>;
}

const keyOf = (family: NetfilterFamily | undefined, name: string): string => `${family} ${name}`;
/** Of the attribute for the table's name, the first one of every message: netlink header, nfgenmsg. */
const tableOffset = 20;

/** All tables. A transaction works on a draft, which shares with the original what it does not change. */
export class Ruleset {
  /** What of it belongs to this draft alone. */
  readonly #owned = new Set<object>();

  constructor(
    private readonly all: Map<string, FakeTable> = new Map(),
    private nextHandle = 1n,
  ) {}

  draft(): Ruleset {
    return new Ruleset(new Map(this.all), this.nextHandle);
  }

  tables(): Iterable<FakeTable> {
    return this.all.values();
  }

  find(family: NetfilterFamily | undefined, name: string): FakeTable | undefined {
    return this.all.get(keyOf(family, name));
  }

  /** A Refusal ENOENT where there is none. */
  table(family: NetfilterFamily | undefined, name: string): FakeTable {
    const found = this.find(family, name);
    if (found === undefined) throw new Refusal('ENOENT', { offset: tableOffset });
    return found;
  }

  handle(): bigint {
    const handle = this.nextHandle;
    this.nextHandle += 1n;
    return handle;
  }

  put(table: FakeTable): void {
    this.#owned.add(table);
    this.all.set(keyOf(table.family, table.name), table);
  }

  delete(table: FakeTable): void {
    this.all.delete(keyOf(table.family, table.name));
  }

  /** The table, to be changed. */
  editable(family: NetfilterFamily | undefined, name: string): FakeTable {
    const found = this.table(family, name);
    if (this.#owned.has(found)) return found;
    const copy = { ...found, chains: new Map(found.chains), sets: new Map(found.sets) };
    this.put(copy);
    return copy;
  }

  /** Its set, to be changed; a Refusal ENOENT where there is none. */
  editableSet(table: FakeTable, name: string): FakeSet {
    const found = table.sets.get(name);
    if (found === undefined) throw new Refusal('ENOENT');
    if (this.#owned.has(found)) return found;
    const copy = { ...found, elements: new Map(found.elements) };
    this.#owned.add(copy);
    table.sets.set(name, copy);
    return copy;
  }
}
