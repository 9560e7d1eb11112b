import {
  loadFields,
  type PageChunk,
  type PageLoad,
  type PageSample,
  type PageServer,
} from '../../admin-api/page.js';
import { historyLength, newHistory, record, seriesOf, type History } from './history.js';

export interface ServerRow {
  readonly server: PageServer;
  readonly load: PageLoad;
}

/** What the charts at the top show, each with its history. */
export const totalNames = [
  'connectionsPerSecond',
  'active',
  'inBytesPerSecond',
  'outBytesPerSecond',
] as const;
export type TotalName = (typeof totalNames)[number];

const unknownLoad: PageLoad = loadFields.map((field) =>
  field === 'active' || field === 'inactive' ? -1 : 0,
);

export const loadValue = (load: PageLoad, field: (typeof loadFields)[number]): number =>
  load[loadFields.indexOf(field)] ?? -1;

/** Everything that the stream of this page has sent. */
export class PageState {
  readonly servers = new Map<number, ServerRow>();
  readonly totals: Readonly<Record<TotalName, History>> = {
    connectionsPerSecond: newHistory(0),
    active: newHistory(0),
    inBytesPerSecond: newHistory(0),
    outBytesPerSecond: newHistory(0),
  };
  /** Connections per second by id, of virtual servers that had some. */
  readonly #rates = new Map<number, History>();
  /** How many samples are complete. */
  samples = 0;
  last: PageSample | undefined;

  /** The stream begins again: it sends everything. Charts go on. */
  reset(): void {
    this.servers.clear();
    this.#rates.clear();
  }

  apply({ servers, loads, removed }: PageChunk): void {
    for (const server of servers)
      this.servers.set(server.id, { server, load: this.servers.get(server.id)?.load ?? unknownLoad });
    for (const [id, load] of loads) {
      const row = this.servers.get(id);
      if (row !== undefined) this.servers.set(id, { server: row.server, load });
    }
    for (const id of removed) {
      this.servers.delete(id);
      this.#rates.delete(id);
    }
  }

  finish(sample: PageSample): void {
    this.last = sample;
    for (const name of totalNames) {
      let sum = 0;
      for (const { load } of this.servers.values()) sum += Math.max(0, loadValue(load, name));
      record(this.totals[name], this.samples, sum);
    }
    this.#recordRates();
    this.samples += 1;
  }

  /** Connections per second of some virtual servers together, the oldest sample first. */
  rateSeries(ids: readonly number[]): readonly number[] {
    const sums = Array.from({ length: Math.min(historyLength, this.samples) }, () => 0);
    for (const id of ids) {
      const history = this.#rates.get(id);
      if (history === undefined) continue;
      for (const [index, value] of seriesOf(history, this.samples - 1).entries())
        sums[index] = (sums[index] ?? 0) + value;
    }
    return sums;
  }

  #recordRates(): void {
    for (const [id, { load }] of this.servers) {
      const rate = loadValue(load, 'connectionsPerSecond');
      const known = this.#rates.get(id);
      if (known === undefined && rate <= 0) continue;
      const history = known ?? newHistory(this.samples);
      this.#rates.set(id, history);
      record(history, this.samples, rate);
    }
  }
}
