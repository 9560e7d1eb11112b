import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const compiledProgram = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/**
 * Tries again until it holds; then gives its value. Fails with the last error after the time, which is long, as a busy machine's
 * guest takes seconds to load a program. The pauses grow: a check that starts programs keeps the guest's only CPU from the rest.
 */
export const eventually = async <T>(check: () => T | Promise<T>, milliseconds = 40_000): Promise<T> => {
  const deadline = Date.now() + milliseconds;
  for (let pause = 20; ; pause = Math.min(pause * 1.5, 200)) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(pause);
    }
  }
};

export interface DaemonOptions {
  /** Network namespace to run in. */
  readonly namespace?: string;
  /** What is run; compiled as the tests are where nothing is said. */
  readonly program?: string;
  /** Before the program, for Node itself. */
  readonly nodeArguments?: readonly string[];
}

/** A kube-ipvs process of its own. */
export class DaemonProcess implements AsyncDisposable {
  /** Everything it wrote to standard error. */
  log = '';
  /** Everything it wrote to standard output. */
  output = '';
  readonly #child: ChildProcess;

  constructor(
    args: readonly string[],
    { namespace, program = compiledProgram, nodeArguments = [] }: DaemonOptions = {},
  ) {
    const command = [
      process.execPath,
      ...process.execArgv,
      ...nodeArguments,
      program,
      'run',
      '--proxy-mode=ipvs',
      '--logging-format=json',
      ...args,
    ];
    const [file = '', ...rest] =
      namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command];
    this.#child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits for its end; the exit status, or the signal's name. */
  async ended(): Promise<number | string> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close');
    return this.#child.exitCode ?? this.#child.signalCode ?? 'unknown';
  }

  signal(name: 'SIGTERM' | 'SIGINT' | 'SIGUSR2'): void {
    this.#child.kill(name);
  }

  async stop(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL' = 'SIGTERM'): Promise<number | string> {
    this.#child.kill(signal);
    return this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop('SIGKILL');
  }
}
