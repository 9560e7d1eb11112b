import { spawn, type ChildProcess } from 'node:child_process';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/daemon-process.js';
import type { Measured, Memory, Table } from './messages.js';

/** A process that answers each line with one. */
class Partner implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;

  constructor(name: string, nodeArguments: readonly string[], args: readonly string[]) {
    const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
    this.#child = spawn(process.execPath, [...process.execArgv, ...nodeArguments, program, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (this.#child.stdout === null) throw new Error('no standard output');
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the process ended early');
    return value;
  }

  async ask<T>(question: string): Promise<T> {
    this.#child.stdin?.write(`${question}\n`);
    return JSON.parse(await this.line()) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    for await (const _ of this.#reader);
  }
}

/** What V8 and the allocator give back they give back late. */
const restMilliseconds = 3_000;

export interface FloodOptions {
  readonly kernel: 'memory' | 'lab';
  readonly services: number;
  /** Of each Service. */
  readonly endpoints: number;
  /** How many of a Service's endpoints change at once. */
  readonly together: number;
  readonly changesPerSecond: number;
  readonly seconds: number;
  /** For the daemon's process, as `--cpu-prof`. */
  readonly nodeArguments?: readonly string[];
}

export interface Flood {
  readonly options: FloodOptions;
  /** Changes of endpoints that the API server made, and how long it took for them. */
  readonly made: { readonly changes: number; readonly seconds: number };
  readonly measured: Measured;
  /** From the last change to the kernel that has them all; not less than 1.5 s, after which it is looked at. */
  readonly settledSeconds: number;
  readonly before: Memory;
  readonly after: Memory;
}

/** Lets endpoints change at a rate, in an API server that the daemon follows. Fails where the kernel does not come to hold what is wanted. */
export const flood = async (options: FloodOptions): Promise<Flood> => {
  const { kernel, services, endpoints, together, changesPerSecond, seconds, nodeArguments = [] } = options;
  await using server = new Partner('server', [], [services, endpoints, together].map(String));
  const url = await server.line();
  await using daemon = new Partner('daemon', ['--expose-gc', ...nodeArguments], [url, kernel]);
  await daemon.line();
  const before = await daemon.ask<Memory>('rest');
  await daemon.ask('begin');
  const made = await server.ask<Flood['made']>(`churn ${changesPerSecond} ${seconds}`);
  const ended = performance.now();
  // A sync a second: the last one has begun by then. Looking at the table would count too.
  await sleep(1_500);
  const measured = await daemon.ask<Measured>('end');
  const wanted = await server.ask<Table>('wanted');
  await eventually(async () => assert.deepEqual(await daemon.ask<Table>('table'), wanted));
  const settledSeconds = (performance.now() - ended) / 1_000;
  await sleep(restMilliseconds);
  return { options, made, measured, settledSeconds, before, after: await daemon.ask<Memory>('rest') };
};
