/** A record: its time in milliseconds since 1970, the Service that it is about, and its JSON without id and time. */
export interface StoredRecord {
  readonly at: number;
  readonly service: string | undefined;
  readonly json: string;
}

export interface RingLimits {
  readonly records: number;
  readonly bytes: number;
}

/** The object, its place in the ring, and the head of its text. */
const recordOverhead = 96;

const notLatin1 = /[^\0-\u{ff}]/u;

/** V8 keeps a text in one byte for each character if all of them are in Latin-1, in two otherwise. */
const bytesOf = ({ json }: StoredRecord): number =>
  recordOverhead + json.length * (notLatin1.test(json) ? 2 : 1);

/** The latest records, bounded by their number and their bytes. Each has a number; a record is never changed. */
export class RecordRing {
  #records: StoredRecord[] = [];
  /** The place of the oldest record: those before it are dropped together. */
  #start = 0;
  #bytes = 0;
  #nextId: number;
  #droppedAt: number | undefined;

  constructor(
    private readonly limits: RingLimits,
    firstId = 0,
  ) {
    this.#nextId = firstId;
  }

  get size(): number {
    return this.#records.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The number of the next record. */
  get nextId(): number {
    return this.#nextId;
  }

  /** The time of the latest record that was dropped. */
  get droppedAt(): number | undefined {
    return this.#droppedAt;
  }

  add(record: StoredRecord): void {
    this.#records.push(record);
    this.#nextId += 1;
    this.#bytes += bytesOf(record);
    while (this.size > this.limits.records || (this.#bytes > this.limits.bytes && this.size > 1))
      this.#dropOldest();
  }

  #dropOldest(): void {
    const oldest = this.#records[this.#start];
    if (oldest === undefined) return;
    this.#droppedAt = oldest.at;
    this.#bytes -= bytesOf(oldest);
    this.#start += 1;
    if (this.#start * 2 < this.#records.length) return;
    this.#records = this.#records.slice(this.#start);
    this.#start = 0;
  }

  /** The records with a higher number, the oldest first, as they are now. */
  *after(id: number): Iterable<readonly [id: number, record: StoredRecord]> {
    const records = this.#records;
    const firstId = this.#nextId - this.size;
    const end = records.length;
    for (
      let at = this.#start + Math.max(0, id + 1 - firstId), next = Math.max(firstId, id + 1);
      at < end;
      at += 1
    ) {
      const record = records[at];
      if (record !== undefined) yield [next, record];
      next += 1;
    }
  }
}
