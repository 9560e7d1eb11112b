// The daemon's wiring on an API server, with the real kernel where there is IPVS (`lab`) or one in memory (`memory`), in a process of
// its own. Arguments: URL KERNEL. Prints `{}` when it has synced. Input: `begin`, answered by `{}`: from now on the event loop's
// delay is measured; `end`, answered by what was measured (Measured); `table`, answered by the real servers' addresses by virtual
// server; `rest`, answered by Memory after the garbage was collected (`--expose-gc`).
import { defaultInstance } from '../../src/model/instance-names.js';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../src/base/log.js';
import { limitSemiSpaceGrowth, omitMaglev, preferMemory } from '../../src/base/v8-memory.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings } from '../../src/config/settings.js';
import { silentRecorder } from '../../src/daemon/events/event-recorder.js';
import { openKernel } from '../../src/daemon/kernel/kernel-access.js';
import { ChangeableSettings } from '../../src/daemon/config/live-settings.js';
import { Metrics } from '../../src/daemon/metrics/registry.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { compose } from '../../src/daemon/compose.js';
import { apiSource } from '../../src/watch/api/api-source.js';
import { loadCredentials } from '../../src/watch/api/credentials.js';
import { memoryKernel, type MemoryKernel } from './memory-kernel.js';
import type { Measured, Memory, Table } from './messages.js';

/** As the daemon does once its code is loaded. */
omitMaglev();
limitSemiSpaceGrowth();

const [url = '', kernelName = 'memory'] = process.argv.slice(2);

/** By a socket of its own: the daemon's has one dump at a time. */
const realTable = async (ipvs: IpvsClient): Promise<Table> => {
  const table: Record<string, readonly string[]> = {};
  for (const { identity } of await ipvs.virtualServersIncrementally()) {
    if (identity.by !== 'address') continue;
    const servers = await ipvs.realServers(identity);
    table[identity.address] = servers
      .filter(({ weight }) => weight > 0)
      .map(({ address }) => address)
      .toSorted();
  }
  return table;
};

const memory: MemoryKernel | undefined = kernelName === 'memory' ? memoryKernel() : undefined;
const real = memory === undefined ? await openKernel(defaultInstance) : undefined;
const reader = real && IpvsClient.open();
const kernel = memory ?? real;
if (kernel === undefined) throw new Error('no kernel');

// A resync would set settings of this machine.
const flags = ['--proxy-mode=ipvs', '--ipvs-sync-period=1h'];
const settings = new ChangeableSettings(
  resolveSettings({ flags: parseFlags(flags), files: [], hostname: 'n1' }),
);
const metrics = new Metrics({ version: '0.0.0', processMetrics: false });
const wired = compose(settings, kernel, silentRecorder, metrics, silentLogger);
await wired.readInitialState();
await wired.dummy.ensure();
await wired.readAddresses();
const source = apiSource({
  credentials: loadCredentials({ master: url }),
  nodeName: 'n1',
  logger: silentLogger,
});
const first = wired.syncLoop.start();
source.start(wired.store);
await first;
preferMemory();

const resolution = 5;
const delay = monitorEventLoopDelay({ resolution });
/** Milliseconds of processor time between two turns of a timer: what others on a busy machine take is not in them. */
let turns: number[] = [];
let lastTurn = process.cpuUsage();
const spent = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e3;
setInterval(() => {
  turns.push(spent(process.cpuUsage(lastTurn)));
  lastTurn = process.cpuUsage();
}, resolution);

let syncs = 0;
let began = { at: 0, cpu: process.cpuUsage(), syncs: 0, operations: 0, events: 0 };
wired.onSynced(() => (syncs += 1));

const eventCount = (): number =>
  [...source.counts().resources.values()].reduce((sum, { events }) => sum + events, 0);

const begin = (): object => {
  delay.reset();
  delay.enable();
  turns = [];
  began = {
    at: performance.now(),
    cpu: process.cpuUsage(),
    syncs,
    operations: memory?.operations ?? 0,
    events: eventCount(),
  };
  return {};
};

const milliseconds = (nanoseconds: number): number => Math.round(nanoseconds / 1e4) / 100;

const turnAt = (share: number): number => {
  const sorted = turns.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
};

const end = (): Measured => {
  delay.disable();
  const { user, system } = process.cpuUsage(began.cpu);
  return {
    seconds: (performance.now() - began.at) / 1_000,
    processorSeconds: (user + system) / 1e6,
    events: eventCount() - began.events,
    syncs: syncs - began.syncs,
    operations: (memory?.operations ?? 0) - began.operations,
    turn: { p99: turnAt(0.99), longest: turnAt(1) },
    eventLoopDelay: {
      median: milliseconds(delay.percentile(50)),
      p99: milliseconds(delay.percentile(99)),
      longest: milliseconds(delay.max),
    },
  };
};

const rest = async (): Promise<Memory> => {
  // Pages that one collection has emptied the next one gives back.
  globalThis.gc?.();
  await sleep(500);
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  return { heapBytes: heapUsed, residentBytes: rss };
};

const answers: Readonly<Record<string, () => unknown>> = {
  begin,
  end,
  rest,
  table: () => memory?.table() ?? (reader && realTable(reader)),
};

process.stdout.write('{}\n');
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answers[line]?.())}\n`);
process.exit();
