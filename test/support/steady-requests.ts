import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from './eventually.js';

const program = fileURLToPath(new URL('./steady-client.js', import.meta.url));

export interface SteadyCounts {
  readonly requests: number;
  readonly held: number;
  /** How often the kernel repeated the first packet of a connection, where it is the most. */
  readonly handshakeRepetitions: number;
  /** How many packets of one request the kernel repeated, where it is the most. */
  readonly dataRepetitions: number;
  readonly failures: readonly string[];
}

/**
 * No packet was dropped for long: TCP repeats the first packet of a connection a second time after two seconds (before Linux 6.5 after
 * three), and data a fourth time after three.
 */
export const assertNoLongDelay = ({
  handshakeRepetitions,
  dataRepetitions,
}: Pick<SteadyCounts, 'handshakeRepetitions' | 'dataRepetitions'>): void => {
  assert.ok(
    handshakeRepetitions < 2,
    `${handshakeRepetitions} repetitions of the first packet of a connection`,
  );
  assert.ok(dataRepetitions < 4, `${dataRepetitions} repetitions of packets of one request`);
};

/** Requests from a network namespace that go on while steps are taken (test/support/steady-client.ts). */
export class SteadyRequests implements Disposable {
  readonly #child: ChildProcess;
  readonly #steps: string[] = [];
  #output = '';

  constructor(namespace: string, urls: readonly string[]) {
    const args = ['netns', 'exec', namespace, process.execPath, ...process.execArgv, program, ...urls];
    this.#child = spawn('ip', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
  }

  /** Requests go on between two steps, of which this one was just taken. */
  async goOnAfter(step: string): Promise<void> {
    this.#steps.push(`${Date.now()} ${step}`);
    const end = performance.now() + 1_500;
    await until('the client has asked for a while', () => performance.now() >= end);
  }

  /** When which step was taken, to tell which one a failed request met. */
  get steps(): string {
    return this.#steps.join('\n');
  }

  /** What became of them. */
  async end(): Promise<SteadyCounts> {
    const closed = once(this.#child, 'close');
    this.#child.stdin?.end();
    await closed;
    return JSON.parse(this.#output);
  }

  /** Ends it where it still runs. */
  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
