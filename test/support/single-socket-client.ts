import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { clientProgram, sctpProgram } from './perl-programs.js';

/** A client with one socket (test/traffic/client.pl, for SCTP test/traffic/sctp.pl) in a network namespace. */
export class SingleSocketClient implements AsyncDisposable {
  /** Everything it printed, with the milliseconds (performance.now) at which that came. */
  readonly lines: { readonly at: number; readonly text: string }[] = [];
  readonly #child: ChildProcess;

  constructor(namespace: string, kind: 'tcp' | 'udp' | 'sctp', address: string, port: number, localPort = 0) {
    const program =
      kind === 'sctp'
        ? [sctpProgram, 'keep', address, String(port)]
        : [clientProgram, 'keep', kind, address, String(port), String(localPort)];
    this.#child = spawn('ip', ['netns', 'exec', namespace, 'perl', ...program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdin, stdout } = this.#child;
    // A client whose connection was reset ends by itself, whatever else it is asked.
    stdin?.on('error', () => undefined);
    if (stdout === null) throw new Error('no standard output');
    createInterface({ input: stdout }).on('line', (text) => this.lines.push({ at: performance.now(), text }));
  }

  /** What it printed last; '' before it printed anything. */
  get last(): string {
    return this.lines.at(-1)?.text ?? '';
  }

  /** tcp, sctp: sends a request. */
  ask(): void {
    this.#child.stdin?.write('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.stdin?.end();
    await closed;
  }
}
