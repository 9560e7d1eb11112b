import assert from 'node:assert/strict';
import { limitSemiSpaceGrowth, omitMaglev } from '../../src/base/v8-memory.js';
import { releaseStartMemory } from '../../src/daemon/memory.js';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import {
  startInProcessWith,
  type InProcessDaemon,
  type InProcessOptions,
} from '../support/in-process-daemon.js';
import { serviceOf, sliceOf } from './cluster.js';
import { loopDelayDuring, type LoopDelay } from './loop-delay.js';

export interface FullSync {
  readonly daemon: InProcessDaemon;
  /** From the complete lists in the store to the complete kernel table. */
  readonly fullSyncSeconds: number;
  readonly fullSyncDelay: LoopDelay;
  readonly residentMegabytes: number;
}

/** Starts the daemon's parts on this kernel and gives them so many Services of so many endpoints each. */
export const fullSync = async (
  services: number,
  endpoints: number,
  vipBinding: VipBinding,
  options: InProcessOptions = {},
): Promise<FullSync> => {
  omitMaglev();
  limitSemiSpaceGrowth();
  const indexes = Array.from({ length: services }, (_, index) => index + 1);
  const serviceMap = new Map(indexes.map(serviceOf).map((value) => [value.key, value]));
  const sliceMap = new Map(
    indexes.map((index) => sliceOf(index, endpoints)).map((value) => [value.key, value]),
  );
  const daemon = await startInProcessWith(options, '--ipvs-sync-period=1h');
  daemon.settings.replace({ ...daemon.settings.now, vipBinding });
  const { store, syncLoop } = daemon.wired;
  let fullSyncSeconds = 0;
  const fullSyncDelay = await loopDelayDuring(async () => {
    const started = performance.now();
    const first = syncLoop.start();
    store.replace('services', serviceMap);
    store.replace('endpointSlices', sliceMap);
    const report = await first;
    fullSyncSeconds = (performance.now() - started) / 1e3;
    // A virtual server, its real servers, a binding, and two elements of packet rules.
    assert.deepEqual(report, { applied: services * (endpoints + 4), failed: 0 });
  });
  // As the daemon does after its first full sync. It gives back the last of the memory 20 seconds later.
  releaseStartMemory();
  await new Promise((resolve) => setTimeout(resolve, 25_000));
  const residentMegabytes = process.memoryUsage().rss / 1e6;
  return { daemon, fullSyncSeconds, fullSyncDelay, residentMegabytes };
};
