import type { RealServerObservation, Statistics } from '../model/virtual-server.js';
import { tableJson } from '../plan/table.js';
import type { VirtualServerNames } from '../plan/admin-answers.js';
import type { KernelTable, ObservedTable } from './kernel-table.js';
import { noNames, type NamesBook } from './names-book.js';

export interface DumpJsonOptions {
  readonly statistics: boolean;
  readonly rates: boolean;
  /** Nothing where no daemon tells any. */
  readonly names?: NamesBook;
}

// A JSON number is exact up to 2^53: 9 PB of bytes.
const numbers = (counters: Readonly<Record<string, bigint>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(counters).map(([name, value]) => [name, Number(value)]));

const countersJson = (statistics: Statistics | undefined, options: DumpJsonOptions): object => {
  if (statistics === undefined) return {};
  const { connections, inPackets, outPackets, inBytes, outBytes } = statistics;
  const totals = { connections, inPackets, outPackets, inBytes, outBytes };
  const rates = {
    connections: statistics.connectionsPerSecond,
    inPackets: statistics.inPacketsPerSecond,
    outPackets: statistics.outPacketsPerSecond,
    inBytes: statistics.inBytesPerSecond,
    outBytes: statistics.outBytesPerSecond,
  };
  return {
    ...(options.statistics ? { statistics: numbers(totals) } : {}),
    ...(options.rates ? { perSecond: numbers(rates) } : {}),
  };
};

const observedJson = (server: RealServerObservation): object => ({
  ...(server.tunnel === undefined ? {} : { tunnel: server.tunnel }),
  connections: {
    active: server.activeConnections,
    inactive: server.inactiveConnections,
    persistent: server.persistentConnections,
  },
});

/** All but the real servers, which have theirs. */
const namesJson = (names: VirtualServerNames | undefined): object => {
  if (names === undefined) return {};
  const { realServers: _, ...own } = names;
  return own;
};

/** The JSON contract with `connections` of every real server, whose they are where a daemon tells it, what foreign servers have beyond ours (`tunnel`, `persistenceEngine`), and `statistics` and `perSecond` where they are asked for. */
export const dumpJson = ({ tables, dummyAddresses }: KernelTable, options: DumpJsonOptions): object => {
  const { names = noNames } = options;
  const plain = tableJson(tables, dummyAddresses);
  const byKey = new Map<string, ObservedTable>(tables.map((table) => [table.server.key, table]));
  const virtualServers = Object.entries(plain.virtualServers).map(([key, server]) => {
    const table = byKey.get(key);
    const known = names.of(key);
    const real = new Map<string, RealServerObservation>(table?.realServers);
    const realServers = Object.entries(server.realServers).map(([realKey, realServer]) => {
      const observed = real.get(realKey);
      if (observed === undefined) return [realKey, realServer];
      return [
        realKey,
        {
          ...known?.realServers[realKey],
          ...realServer,
          ...observedJson(observed),
          ...countersJson(observed.statistics, options),
        },
      ];
    });
    return [
      key,
      {
        ...namesJson(known),
        ...server,
        ...(table?.server.persistenceEngine === undefined
          ? {}
          : { persistenceEngine: table.server.persistenceEngine }),
        ...countersJson(table?.server.statistics, options),
        realServers: Object.fromEntries(realServers) as object,
      },
    ];
  });
  return { ...plain, virtualServers: Object.fromEntries(virtualServers) as object };
};
