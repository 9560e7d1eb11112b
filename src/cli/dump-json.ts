import type { RealServerObservation, Statistics } from '../model/virtual-server.js';
import { dummyAddressesJson, realServerJson, virtualServerSettingsJson } from '../plan/table.js';
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
  if (statistics === undefined || !(options.statistics || options.rates)) return {};
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

type Reals = Readonly<Record<string, object>>;

const realServersJson = (
  table: ObservedTable,
  known: VirtualServerNames | undefined,
  options: DumpJsonOptions,
): Reals => {
  const members: Record<string, object> = {};
  for (const server of table.realServers.values())
    members[server.key] = {
      ...known?.realServers[server.key],
      ...realServerJson(server),
      ...observedJson(server),
      ...countersJson(server.statistics, options),
    };
  return members;
};

/** The JSON contract with `connections` of every real server, whose they are where a daemon tells it, what foreign servers have beyond ours (`tunnel`, `persistenceEngine`), and `statistics` and `perSecond` where they are asked for. */
const dumpedServer = (table: ObservedTable, options: DumpJsonOptions): object => {
  const { persistenceEngine, statistics } = table.server;
  const known = (options.names ?? noNames).of(table.server.key);
  return {
    ...namesJson(known),
    ...virtualServerSettingsJson(table.server),
    ...(persistenceEngine === undefined ? {} : { persistenceEngine }),
    ...countersJson(statistics, options),
    realServers: realServersJson(table, known, options),
  };
};

const before = '{\n  "virtualServers": {';
const after = '\n  }\n}';

/** The table as JSON in the order given, a virtual server at a time: there may be tens of thousands. */
export function* dumpJsonTexts(
  { tables, dummyAddresses }: KernelTable,
  options: DumpJsonOptions,
): Iterable<string> {
  let mark = before;
  for (const table of tables) {
    const whole = { virtualServers: { [table.server.key]: dumpedServer(table, options) } };
    yield mark + JSON.stringify(whole, undefined, 2).slice(before.length, -after.length);
    mark = ',';
  }
  yield tables.length === 0 ? `${before}}` : '\n  }';
  const rest = JSON.stringify({ dummyAddresses: dummyAddressesJson(dummyAddresses) }, undefined, 2);
  yield `,${rest.slice(1)}\n`;
}

/** The same as YAML. */
export function* dumpYamlTexts(
  { tables, dummyAddresses }: KernelTable,
  options: DumpJsonOptions & { readonly formatYaml: (value: object) => string },
): Iterable<string> {
  const { formatYaml } = options;
  yield tables.length === 0 ? 'virtualServers: {}\n' : 'virtualServers:\n';
  for (const table of tables) {
    const whole = formatYaml({ virtualServers: { [table.server.key]: dumpedServer(table, options) } });
    yield whole.slice(whole.indexOf('\n') + 1);
  }
  yield formatYaml({ dummyAddresses: dummyAddressesJson(dummyAddresses) });
}
