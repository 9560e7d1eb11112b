// Asks along several paths at once until its input ends: by new connections, and by connections that stay open from request to
// request. Argument: a JSON list of Path. Prints at its end a JSON list of PathReport.
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Path, PathReport } from './paths.js';

/** A request that nobody answers for so long has failed. */
const patienceMilliseconds = 15_000;

const paths: readonly Path[] = JSON.parse(process.argv[2] ?? '[]');
const ending = new AbortController();
process.stdin.resume().on('end', () => ending.abort());

/**
 * Each connection has a port of the path's own, and none that was in use lately. IPVS tells the answers of a real server apart by
 * the client's address and port alone: a connection from the same port to another virtual server with that real server takes the
 * answers of the older one.
 */
const portsOf = ({ firstPort, ports }: Path): (() => number) => {
  let next = 0;
  return () => firstPort + (next++ % ports);
};

interface Counts {
  requests: number;
  connections: number;
  slowest: number;
  longestGap: number;
  readonly failures: string[];
}

/** One lane of a path: a request at a time. */
const ask = async (path: Path, nextPort: () => number, counts: Counts): Promise<void> => {
  // A kept connection is left only when the server has said that it closes it.
  let agent: Agent | undefined;
  let mayConnect = true;
  let lastSuccess = performance.now();
  const request = (): Promise<void> =>
    new Promise((resolve, reject) => {
      if (path.kept && agent === undefined) agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const localPort = nextPort();
      const sent = get(
        path.url,
        { agent: agent ?? false, timeout: patienceMilliseconds, localPort },
        (response) => {
          if (!sent.reusedSocket) {
            counts.connections += 1;
            if (path.kept && !mayConnect) reject(new Error('connected anew'));
          }
          mayConnect = response.headers.connection === 'close';
          response.on('error', reject);
          response.resume().on('end', resolve);
        },
      );
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
    });
  while (!ending.signal.aborted) {
    const began = performance.now();
    counts.requests += 1;
    try {
      await request();
      counts.longestGap = Math.max(counts.longestGap, performance.now() - lastSuccess);
      lastSuccess = performance.now();
    } catch (error) {
      mayConnect = true;
      const failure = `${new Date().toISOString()} ${path.name}: ${(error as Error).message}`;
      counts.failures.push(failure);
      process.stderr.write(`${failure}\n`);
    }
    counts.slowest = Math.max(counts.slowest, performance.now() - began);
    if (mayConnect) {
      agent?.destroy();
      agent = undefined;
    }
    await sleep(path.pauseMilliseconds, undefined, { signal: ending.signal }).catch(() => {});
  }
  agent?.destroy();
};

const follow = async (path: Path): Promise<PathReport> => {
  const counts: Counts = { requests: 0, connections: 0, slowest: 0, longestGap: 0, failures: [] };
  const nextPort = portsOf(path);
  await Promise.all(Array.from({ length: path.lanes }, () => ask(path, nextPort, counts)));
  const { slowest, longestGap } = counts;
  return { ...counts, name: path.name, slowest: Math.round(slowest), longestGap: Math.round(longestGap) };
};

process.stdout.write(`${JSON.stringify(await Promise.all(paths.map(follow)))}\n`);
