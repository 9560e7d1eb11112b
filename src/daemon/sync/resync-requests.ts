import { SyncRunner } from './sync-runner.js';

/** The pause after a resync that was asked for: at least so long, and so many times as long as it took. */
const minimumPauseMilliseconds = 1_000;
const pauseFactor = 4;

/**
 * Resyncs that somebody asks for: the first runs at once. Whoever asks on and on gets one after the other with pauses between
 * them, so that the changes of the cluster find their time.
 */
export const resyncRequests = (resync: () => Promise<void>): SyncRunner => {
  let pause = minimumPauseMilliseconds;
  return new SyncRunner({
    minSyncPeriod: () => pause,
    // Nobody asks: none.
    syncPeriod: () => Infinity,
    run: async (reason) => {
      if (reason === 'periodic') return;
      const started = performance.now();
      await resync();
      pause = Math.max(minimumPauseMilliseconds, (performance.now() - started) * pauseFactor);
    },
  });
};
