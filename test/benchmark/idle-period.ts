// Runs in the lab: what a sync period costs in which nothing changes. Arguments: `file` or `netlink`, how the resync reads the
// kernel; RUNS SERVICES ENDPOINTS. Prints one line of JSON (IdleRun of idle-report.ts).
import assert from 'node:assert/strict';
import { closeSync, openSync, readSync } from 'node:fs';
import { silentLogger } from '../../src/base/log.js';
import { watchForwardPolicy } from '../../src/daemon/kernel/watch-forward-policy.js';
import { fullSync } from './full-sync.js';
import type { IdlePeriod, IdleRun } from './idle-report.js';
import { loopDelayDuring } from './loop-delay.js';

/** Long enough for the slices of a resync that reads the kernel over netlink. */
const syncPeriod = 10_000;
const mode = process.argv[2] === 'netlink' ? 'netlink' : 'file';
const [runs = 3, services = 10_000, endpoints = 10] = process.argv.slice(3).map(Number);
const noFile = (): never => {
  throw new Error('not read in this run');
};

const options = mode === 'netlink' ? { tableFile: noFile } : {};
await using daemon = (await fullSync(services, endpoints, 'address', options)).daemon;
const { syncLoop, resync } = daemon.wired;
using _forwardPolicy = await watchForwardPolicy(() => daemon.settings.now, silentLogger);
await syncLoop.changeSettings(async () => daemon.settings.replace({ ...daemon.settings.now, syncPeriod }));

const nextSync = (): Promise<void> => new Promise((resolve) => daemon.wired.onSynced(resolve));

/** Until a round and its slices have ended. */
const round = async (): Promise<void> => {
  await nextSync();
  while (resync.remaining > 0) await new Promise((resolve) => setTimeout(resolve, 100));
};

const spent = (since?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e3;
};

const measure = async (): Promise<IdlePeriod> => {
  const [cpu, messages] = [process.cpuUsage(), daemon.messages()];
  await round();
  return { processorMilliseconds: spent(cpu), messages: daemon.messages() - messages };
};

/** What the kernel needs to make the file. */
const readFile = (): number => {
  const cpu = process.cpuUsage();
  const buffer = Buffer.alloc(64 << 10);
  const descriptor = openSync('/proc/net/ip_vs', 'r');
  while (readSync(descriptor, buffer) > 0);
  closeSync(descriptor);
  return spent(cpu);
};

// The first rounds learn what the others compare with, and the compiler of V8 is still at work.
for (let warmUp = 0; warmUp < 3; warmUp += 1) await round();
const periods: IdlePeriod[] = [];
const fileMilliseconds: number[] = [];
for (let run = 0; run < runs; run += 1) {
  periods.push(await measure());
  fileMilliseconds.push(readFile());
}
const before = resync.counts;
const delay = await loopDelayDuring(async () => {
  for (let run = 0; run < runs; run += 1) await round();
});
const other = mode === 'file' ? 'netlink' : 'file';
assert.equal(resync.counts[other], before[other]);

/** With the series of every Service. */
const scrapes = await loopDelayDuring(async () => {
  const { settings } = daemon;
  settings.replace({ ...settings.now, perServiceMetrics: { enabled: true, maximum: services } });
  for (let run = 0; run < runs; run += 1) {
    let lines = 0;
    for await (const chunk of (await daemon.metrics.page()).chunks) lines += chunk.split('\n').length - 1;
    assert.ok(lines > 10 * services, `${lines} lines`);
    // The daemon reuses what it has read of the kernel for a second.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
  }
});

process.stdout.write(
  `${JSON.stringify({
    mode,
    periods,
    fileMilliseconds,
    delay,
    scrapes,
    residentMegabytes: process.memoryUsage().rss / 1e6,
  } satisfies IdleRun)}\n`,
);
