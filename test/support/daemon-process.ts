import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { main } from './program.js';
import { isTimeVirtual } from './virtual-clock.js';

export { eventually } from './eventually.js';

export interface DaemonOptions {
  /** Network namespace to run in. */
  readonly namespace?: string;
  /** What is run; the bundle where nothing is said. */
  readonly program?: string;
  /** Before the program, for Node itself. */
  readonly nodeArguments?: readonly string[];
}

const virtualTime = fileURLToPath(new URL('./virtual-time.js', import.meta.url));

/** A kube-ipvs process of its own. */
export class DaemonProcess implements AsyncDisposable {
  /** Everything it wrote to standard error. */
  log = '';
  /** Everything it wrote to standard output. */
  output = '';
  readonly #child: ChildProcess;

  constructor(
    args: readonly string[],
    { namespace, program = main, nodeArguments = [] }: DaemonOptions = {},
  ) {
    const command = [
      process.execPath,
      ...(isTimeVirtual ? ['--import', virtualTime] : []),
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
