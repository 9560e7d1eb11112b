import { readFileSync, readdirSync } from 'node:fs';

/** What the daemon says of itself (test/soak/probe.ts), right after its garbage was collected. */
export interface Held {
  readonly heapBytes: number;
  readonly handles: number;
  readonly timers: number;
}

/** What a process holds at one moment. */
export interface Sample extends Held {
  readonly seconds: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly threads: number;
}

const numberIn = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]);

/** What the kernel says of a process. */
export const kernelSample = (pid: number): Pick<Sample, 'residentBytes' | 'descriptors' | 'threads'> => {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return {
    residentBytes: numberIn(status, 'VmRSS') * 1_024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: numberIn(status, 'Threads'),
  };
};

export interface Trend {
  readonly what: string;
  /** Medians of the four quarters of the time. */
  readonly quarters: readonly number[];
  /** Of the line through the last three quarters, in an hour. */
  readonly slopePerHour: number;
  /** The most that the last quarter may be above the second. */
  readonly allowed: number;
  readonly flat: boolean;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Of the least squares line; 0 where there is none. */
const slope = (points: readonly (readonly [x: number, y: number])[]): number => {
  const meanX = mean(points.map(([x]) => x));
  const meanY = mean(points.map(([, y]) => y));
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
};

const megabyte = 1_024 * 1_024;

/** What is watched, its unit, and how much of it comes and goes with the load: of the second quarter's median, and at least. */
const watched = [
  { what: 'RSS, MB', of: (sample: Sample) => sample.residentBytes / megabyte, share: 0.08, least: 4 },
  { what: 'heap after GC, MB', of: (sample: Sample) => sample.heapBytes / megabyte, share: 0.05, least: 1 },
  { what: 'descriptors', of: (sample: Sample) => sample.descriptors, share: 0, least: 1 },
  { what: 'active handles', of: (sample: Sample) => sample.handles, share: 0, least: 1 },
  { what: 'timers', of: (sample: Sample) => sample.timers, share: 0, least: 3 },
  { what: 'threads', of: (sample: Sample) => sample.threads, share: 0, least: 0 },
] as const;

/** How each figure goes. The first quarter, in which caches fill, is shown and does not count. */
export const trendsOf = (samples: readonly Sample[]): readonly Trend[] =>
  watched.map(({ what, of, share, least }) => {
    const quarters = [0, 1, 2, 3].map((quarter) => {
      const [from, to] = [quarter, quarter + 1].map((edge) => Math.round((samples.length * edge) / 4));
      return median(samples.slice(from, to).map(of));
    });
    const later = samples.slice(Math.round(samples.length / 4));
    const [, second = NaN, , last = NaN] = quarters;
    const allowed = Math.max(least, second * share);
    return {
      what,
      quarters,
      slopePerHour: slope(later.map((sample) => [sample.seconds, of(sample)])) * 3_600,
      allowed,
      flat: last - second <= allowed,
    };
  });
