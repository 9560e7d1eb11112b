import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

/** How late timers were, by the clock, milliseconds. */
export interface LoopDelay {
  readonly p99: number;
  readonly longest: number;
  /** The longest of the stops in which V8 collected garbage. */
  readonly longestCollection: number;
}

const milliseconds = (value: number): number => Math.round(value * 100) / 100;

/** How often a timer is due, milliseconds: to measure costs processor time. */
const resolution = 5;
/** The histogram has the times between two timers, in nanoseconds. */
const delayOf = (nanoseconds: number): number => milliseconds(Math.max(0, nanoseconds / 1e6 - resolution));

/** The delay of the event loop during the work. */
export const loopDelayDuring = async (work: () => Promise<unknown>): Promise<LoopDelay> => {
  let longestCollection = 0;
  const collections = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longestCollection = Math.max(longestCollection, duration);
  });
  collections.observe({ entryTypes: ['gc'] });
  const delays = monitorEventLoopDelay({ resolution });
  delays.enable();
  await work();
  delays.disable();
  await new Promise(setImmediate);
  collections.disconnect();
  return {
    p99: delayOf(delays.percentile(99)),
    longest: delayOf(delays.max),
    longestCollection: milliseconds(longestCollection),
  };
};
