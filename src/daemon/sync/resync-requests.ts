import { SyncRunner } from './sync-runner.js';

/** The pause after a requested resync: a minimum, and a multiple of the time that it took. */
const minimumPauseMilliseconds = 1_000;
const pauseFactor = 4;

/**
 * Runs requested resyncs: the first at once, repeated ones with pauses between them, which leave time for changes of the
 * cluster.
 */
export const resyncRequests = (resync: () => Promise<void>): SyncRunner => {
  let pause = minimumPauseMilliseconds;
  return new SyncRunner({
    minSyncPeriod: () => pause,
    // No resync without a request.
    syncPeriod: () => Infinity,
    run: async (reason) => {
      if (reason === 'periodic') return;
      const started = performance.now();
      await resync();
      pause = Math.max(minimumPauseMilliseconds, (performance.now() - started) * pauseFactor);
    },
  });
};
