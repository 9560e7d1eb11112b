// Asks along several paths at once, by new connections and by ones that stay open. A line of input `lap` prints what became of the
// requests that ended since the line before, a JSON list of PathLap; the end of the input ends it. Argument: a JSON list of Path.
import { setMaxListeners } from 'node:events';
import { Agent, get } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailedRequest, Outcome, PathLap } from './cluster-report.js';
import type { Path } from './paths.js';

/** A request that nobody answers for so long has failed. */
const patienceMilliseconds = 5_000;

const outcomes: Readonly<Record<string, Outcome>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
};

const outcomeOf = (error: Error): Outcome =>
  outcomes[('code' in error && String(error.code)) || ''] ?? 'no answer';

class Lane {
  #agent: Agent | undefined;
  #connected = false;
  #closes = true;

  constructor(
    private readonly path: Path,
    private readonly localPort: () => number,
  ) {}

  /** One request; what went wrong, undefined where it was answered. */
  async ask(): Promise<Outcome | undefined> {
    try {
      await this.#request();
      if (this.#closes) this.#leave();
      return undefined;
    } catch (error) {
      this.#leave();
      return outcomeOf(error as Error);
    }
  }

  #leave(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
    this.#connected = false;
  }

  #request(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.path.kept) this.#agent ??= new Agent({ keepAlive: true, maxSockets: 1 });
      const options = {
        agent: this.#agent ?? false,
        timeout: patienceMilliseconds,
        localPort: this.localPort(),
      };
      const sent = get(this.path.url, options, (response) => {
        // A server that leaves says that it closes the connection; one that was lost without a word was reset.
        const lost = this.#connected && !sent.reusedSocket;
        this.#connected = this.path.kept;
        this.#closes = !this.path.kept || response.headers.connection === 'close';
        response.on('error', reject);
        response.resume().on('end', () => {
          if (lost) reject(Object.assign(new Error('connected anew'), { code: 'ECONNRESET' }));
          else resolve();
        });
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
    });
  }
}

const paths: readonly Path[] = JSON.parse(process.argv[2] ?? '[]');
const ending = new AbortController();
setMaxListeners(0, ending.signal);

const follow = (path: Path): (() => PathLap) => {
  let failures: FailedRequest[] = [];
  let counts = { requests: 0, longestGap: 0 };
  let lastSuccess = performance.now();
  let next = 0;
  const lane = new Lane(path, () => path.firstPort + (next++ % path.ports));
  const run = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const outcome = await lane.ask();
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
