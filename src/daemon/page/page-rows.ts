import type { PageLoad, PageServer } from '../../admin-api/page.js';

type Description = Omit<PageServer, 'id'>;

interface Row {
  server: PageServer;
  load: PageLoad | undefined;
  /** The numbers of the samples that changed it, and of the last that described it. */
  describedAt: number;
  loadedAt: number;
  seenAt: number;
}

/** What changed in one row. */
export interface RowChange {
  readonly id: number;
  readonly server?: PageServer;
  readonly load?: PageLoad;
}

const sameDescription = (a: Description, b: Description): boolean =>
  a.service === b.service &&
  a.port === b.port &&
  a.frontend === b.frontend &&
  a.scheduler === b.scheduler &&
  a.state === b.state &&
  a.realServers === b.realServers &&
  a.draining === b.draining;

const sameLoad = (a: PageLoad | undefined, b: PageLoad): boolean =>
  a !== undefined && b.every((value, index) => value === a[index]);

/** Older removals are forgotten: a stream that has not sent them begins again. */
const maximumRemovals = 10_000;

/** The virtual servers of the page, and in which sample each changed. All streams share it. */
export class PageRows {
  readonly #rows = new Map<string, Row>();
  #removals: { readonly id: number; readonly at: number }[] = [];
  #forgottenBefore = 0;
  #nextId = 1;
  #sample = 0;

  get size(): number {
    return this.#rows.size;
  }

  /** Begins the next sample and returns its number, from 1. */
  begin(): number {
    this.#sample += 1;
    return this.#sample;
  }

  describe(description: Description): void {
    const row = this.#rows.get(description.key);
    if (row === undefined) {
      const server = { id: this.#nextId, ...description };
      this.#nextId += 1;
      const at = this.#sample;
      this.#rows.set(server.key, { server, load: undefined, describedAt: at, loadedAt: 0, seenAt: at });
      return;
    }
    row.seenAt = this.#sample;
    if (sameDescription(row.server, description)) return;
    row.server = { id: row.server.id, ...description };
    row.describedAt = this.#sample;
  }

  /** Ignores the load of a virtual server that is not on the page. */
  load(key: string, load: PageLoad): void {
    const row = this.#rows.get(key);
    if (row === undefined || sameLoad(row.load, load)) return;
    row.load = load;
    row.loadedAt = this.#sample;
  }

  /** Removes the rows that this sample did not describe. */
  end(): void {
    for (const [key, { seenAt, server }] of this.#rows) {
      if (seenAt === this.#sample) continue;
      this.#rows.delete(key);
      this.#removals.push({ id: server.id, at: this.#sample });
    }
    const excess = this.#removals.length - maximumRemovals;
    if (excess <= 0) return;
    this.#forgottenBefore = this.#removals[excess - 1]?.at ?? this.#forgottenBefore;
    this.#removals = this.#removals.slice(excess);
  }

  /** Whether a stream that sent this sample can go on with `changesSince`. */
  knowsSince(sample: number): boolean {
    return sample === 0 || sample >= this.#forgottenBefore;
  }

  /** The ids that were removed after a sample. */
  removedSince(sample: number): readonly number[] {
    return sample === 0 ? [] : this.#removals.filter(({ at }) => at > sample).map(({ id }) => id);
  }

  /** The rows that changed after a sample; undefined for each other row, so that the caller can stop in between. */
  *changesSince(sample: number): Iterable<RowChange | undefined> {
    for (const { server, load, describedAt, loadedAt } of this.#rows.values()) {
      const isDescribed = describedAt > sample;
      const isLoaded = load !== undefined && loadedAt > sample;
      yield isDescribed || isLoaded
        ? { id: server.id, ...(isDescribed ? { server } : {}), ...(isLoaded ? { load } : {}) }
        : undefined;
    }
  }
}
