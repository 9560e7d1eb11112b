// Measures the daemon's parts on this kernel: a full sync, single changes, memory. Arguments: SERVICES ENDPOINTS CHANGES.
// Prints one line of JSON (SyncRun of report.ts); run by scripts/bench in a fresh network namespace.
import assert from 'node:assert/strict';
import { sliceOf, virtualServerKeyOf } from './cluster.js';
import { fullSync } from './full-sync.js';
import { loopDelayDuring } from './loop-delay.js';
import { median, type Cost, type ResyncCost, type SyncRun } from './report.js';

const warmUp = 100;
/** Long enough for the slices of a resync to have their pauses. */
const resyncPeriod = 8_000;
const [services = 100, endpoints = 10, changes = 100] = process.argv.slice(2).map(Number);
const first = await fullSync(services, endpoints, 'address');
await using daemon = first.daemon;
const { store, syncLoop, observed } = daemon.wired;
assert.equal((await daemon.kernel.ipvs.virtualServers()).length, services);

// The events of our own addresses come back after the first sync; they are not part of a change.
await new Promise((resolve) => setTimeout(resolve, 500));

/** Gives a Service this many endpoints; milliseconds until the kernel has acknowledged them, and the messages that it took. */
const change = async (index: number, count: number): Promise<Cost> => {
  const value = sliceOf(index, count);
  const key = virtualServerKeyOf(index);
  const messages = daemon.messages();
  const begun = performance.now();
  store.apply([{ kind: 'endpointSlice', key: value.key, value }]);
  while (observed.virtualServer(key)?.realServers.size !== count) await new Promise(setImmediate);
  return { milliseconds: performance.now() - begun, messages: daemon.messages() - messages };
};

const added: Cost[] = [];
const removed: Cost[] = [];
// The first ones are slower: the compiler of V8 is still at work.
for (let round = -warmUp; round < changes; round += 1) {
  const index = 1 + ((round + warmUp) % services);
  const [comes, leaves] = [await change(index, endpoints + 1), await change(index, endpoints)];
  if (round >= 0) {
    added.push(comes);
    removed.push(leaves);
  }
}

const costOf = (costs: readonly Cost[]): Cost => ({
  milliseconds: median(costs.map((cost) => cost.milliseconds)),
  messages: median(costs.map((cost) => cost.messages)),
});

/** A resync of the world as it is now: everything that is read again, in slices over half of the period. */
const resyncCost = async (): Promise<ResyncCost> => {
  let syncs = 0;
  daemon.wired.onSynced(() => void (syncs += 1));
  const until = async (isDone: () => boolean): Promise<void> => {
    while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const { settings, wired } = daemon;
  await syncLoop.changeSettings(async () => settings.replace({ ...settings.now, syncPeriod: resyncPeriod }));
  await until(() => syncs > 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const round = async (): Promise<void> => {
    const synced = syncs;
    await until(() => syncs > synced && wired.resync.remaining === 0);
    // The last slice is being read.
    await new Promise((resolve) => setTimeout(resolve, 300));
  };
  const [before, messages] = [performance.eventLoopUtilization(), daemon.messages()];
  await round();
  const { active } = performance.eventLoopUtilization(before);
  const cost = { milliseconds: active, messages: daemon.messages() - messages };
  // To look for the longest stop costs time itself.
  return { ...cost, delay: await loopDelayDuring(round) };
};

const costs = { added: costOf(added), removed: costOf(removed), resync: await resyncCost() };
process.stdout.write(
  `${JSON.stringify({
    fullSyncSeconds: first.fullSyncSeconds,
    fullSyncDelay: first.fullSyncDelay,
    ...costs,
    residentMegabytes: first.residentMegabytes,
  } satisfies SyncRun)}\n`,
);
