import type { RealServerObservation, Statistics } from '../../model/virtual-server.js';
import {
  boundVipsJson,
  realServerJson,
  virtualServerSettingsJson,
} from '../../plan/output/ipvs-table-formats.js';
import type { VirtualServerDescription } from '../../admin-api/responses.js';
import type { KernelSnapshot, ObservedVirtualServer } from '../kernel/kernel-snapshot.js';
import { emptyServiceIndex, type ServiceIndex } from '../admin/service-index.js';

export interface DumpJsonOptions {
  readonly statistics: boolean;
  readonly rates: boolean;
  /** Absent without a daemon. */
  readonly names?: ServiceIndex;
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

/** Without the real servers. */
const namesJson = (names: VirtualServerDescription | undefined): object => {
  if (names === undefined) return {};
  const { realServers: _, ...own } = names;
  return own;
};

type Reals = Readonly<Record<string, object>>;

const realServersJson = (
  entry: ObservedVirtualServer,
  known: VirtualServerDescription | undefined,
  options: DumpJsonOptions,
): Reals => {
  const members: Record<string, object> = {};
  for (const server of entry.realServers.values())
    members[server.key] = {
      ...known?.realServers[server.key],
      ...realServerJson(server),
      ...observedJson(server),
      ...countersJson(server.statistics, options),
    };
  return members;
};

/** The JSON contract with names, the `connections` of each real server, settings of foreign servers (`tunnel`, `persistenceEngine`), and on request `statistics` and `perSecond`. */
const dumpedServer = (entry: ObservedVirtualServer, options: DumpJsonOptions): object => {
  const { persistenceEngine, statistics } = entry.server;
  const known = (options.names ?? emptyServiceIndex).get(entry.server.key);
  return {
    ...namesJson(known),
    ...virtualServerSettingsJson(entry.server),
    ...(persistenceEngine === undefined ? {} : { persistenceEngine }),
    ...countersJson(statistics, options),
    realServers: realServersJson(entry, known, options),
  };
};

const documentStart = '{\n  "virtualServers": {';
const documentEnd = '\n  }\n}';

/** The table as JSON in the given order, one virtual server at a time: there may be tens of thousands. */
export function* dumpJsonTexts(
  { virtualServers, vips }: KernelSnapshot,
  options: DumpJsonOptions,
): Iterable<string> {
  let mark = documentStart;
  for (const entry of virtualServers) {
    const whole = { virtualServers: { [entry.server.key]: dumpedServer(entry, options) } };
    yield mark + JSON.stringify(whole, undefined, 2).slice(documentStart.length, -documentEnd.length);
    mark = ',';
  }
  yield virtualServers.length === 0 ? `${documentStart}}` : '\n  }';
  const rest = JSON.stringify(boundVipsJson(vips), undefined, 2);
  yield `,${rest.slice(1)}\n`;
}

/** The same as YAML. */
export function* dumpYamlTexts(
  { virtualServers, vips }: KernelSnapshot,
  options: DumpJsonOptions & { readonly formatYaml: (value: object) => string },
): Iterable<string> {
  const { formatYaml } = options;
  yield virtualServers.length === 0 ? 'virtualServers: {}\n' : 'virtualServers:\n';
  for (const entry of virtualServers) {
    const whole = formatYaml({ virtualServers: { [entry.server.key]: dumpedServer(entry, options) } });
    yield whole.slice(whole.indexOf('\n') + 1);
  }
  yield formatYaml(boundVipsJson(vips));
}
