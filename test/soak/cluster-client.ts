// Asks along several paths at once, by new connections and by ones that stay open. A line of input `lap` prints what became of the
// requests that ended since the line before, a JSON list of PathLap; the end of the input ends it. Argument: a JSON list of Path.
import { setMaxListeners } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../src/base/errors.js';
import type { FailedRequest, Outcome, PathLap } from './cluster-report.js';
import { Lane, portsOf } from './lane.js';
import type { Path } from './paths.js';

/** A request without an answer for so long has failed. */
const patienceMilliseconds = 5_000;

const outcomes: Readonly<Record<string, Outcome>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
};

const outcomeOf = (error: unknown): Outcome => outcomes[codeOf(error) ?? ''] ?? 'no answer';

const paths: readonly Path[] = JSON.parse(process.argv[2] ?? '[]');
const ending = new AbortController();
setMaxListeners(0, ending.signal);

const follow = (path: Path): (() => PathLap) => {
  let failures: FailedRequest[] = [];
  let counts = { requests: 0, longestGap: 0 };
  let lastSuccess = performance.now();
  const lane = new Lane(path, portsOf(path), patienceMilliseconds);
  const run = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const outcome = await lane.ask().then(() => undefined, outcomeOf);
      counts.requests += 1;
      const now = performance.now();
      counts.longestGap = Math.max(counts.longestGap, now - lastSuccess);
      if (outcome === undefined) lastSuccess = now;
      else failures.push({ at: Date.now(), outcome });
      await sleep(path.pauseMilliseconds, undefined, { signal: ending.signal }).catch(() => {});
    }
  };
  void run();
  return () => {
    const lap = { name: path.name, ...counts, longestGap: Math.round(counts.longestGap), failures };
    failures = [];
    counts = { requests: 0, longestGap: 0 };
    return lap;
  };
};

const laps = paths.map(follow);
process.stdout.write('ready\n');
for await (const _ of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(laps.map((lap) => lap()))}\n`);
ending.abort();
process.exit();
