// Asks along several paths at once until its input ends: by new connections, and by connections that stay open from request to
// request. Argument: a JSON list of Path. Prints at its end a JSON list of PathReport.
import { setTimeout as sleep } from 'node:timers/promises';
import { Lane, portsOf } from './lane.js';
import type { Path, PathReport } from './paths.js';

/** A request that nobody answers for so long has failed. */
const patienceMilliseconds = 15_000;

const paths: readonly Path[] = JSON.parse(process.argv[2] ?? '[]');
const ending = new AbortController();
process.stdin.resume().on('end', () => ending.abort());

interface Counts {
  requests: number;
  slowest: number;
  longestGap: number;
  readonly failures: string[];
}

/** Asks until the end. */
const ask = async (path: Path, lane: Lane, counts: Counts): Promise<void> => {
  let lastSuccess = performance.now();
  while (!ending.signal.aborted) {
    const began = performance.now();
    counts.requests += 1;
    try {
      await lane.ask();
      counts.longestGap = Math.max(counts.longestGap, performance.now() - lastSuccess);
      lastSuccess = performance.now();
    } catch (error) {
      const failure = `${new Date().toISOString()} ${path.name}: ${(error as Error).message}`;
      counts.failures.push(failure);
      process.stderr.write(`${failure}\n`);
    }
    counts.slowest = Math.max(counts.slowest, performance.now() - began);
    await sleep(path.pauseMilliseconds, undefined, { signal: ending.signal }).catch(() => {});
  }
  lane.leave();
};

const follow = async (path: Path): Promise<PathReport> => {
  const counts: Counts = { requests: 0, slowest: 0, longestGap: 0, failures: [] };
  const nextPort = portsOf(path);
  const lanes = Array.from({ length: path.lanes }, () => new Lane(path, nextPort, patienceMilliseconds));
  await Promise.all(lanes.map((lane) => ask(path, lane, counts)));
  const { requests, slowest, longestGap, failures } = counts;
  return {
    name: path.name,
    requests,
    connections: lanes.reduce((sum, { connections }) => sum + connections, 0),
    slowest: Math.round(slowest),
    longestGap: Math.round(longestGap),
    failures,
  };
};

process.stdout.write(`${JSON.stringify(await Promise.all(paths.map(follow)))}\n`);
