import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.js';
import { openClientsOf } from './kernel-table.js';

const program = fileURLToPath(new URL('./web-pod.js', import.meta.url));

/** A web server in the namespace of a pod of scripts/kernel-lab/network. */
export class WebPod implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    readonly name: string,
    readonly address: string,
  ) {
    this.#child = spawn(
      'ip',
      ['netns', 'exec', name, process.execPath, ...process.execArgv, program, name, '8080'],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    if (this.#child.stdout === null) throw new Error('no standard output');
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** The pod of this number; resolves when it serves. */
  static async start(number: number): Promise<WebPod> {
    const pod = new WebPod(`pod${number}`, `10.244.0.${10 + number}`);
    await pod.#lines.next();
    return pod;
  }

  /** Says so; gives how many connections are open to it. */
  async tell(command: 'drain' | 'close' | 'open' | 'count'): Promise<number> {
    this.#child.stdin?.write(`${command}\n`);
    return Number((await this.#lines.next()).value);
  }

  /**
   * Resolves when all connections that IPVS has scheduled to these sockets of the pod, `10.244.0.11:8080`, are answered and closed.
   * IPVS is asked first: it may have scheduled a connection that the pod has not accepted yet.
   */
  async becomesIdle(sockets: readonly string[], milliseconds: number): Promise<void> {
    await eventually(async () => {
      const clients = sockets.flatMap(openClientsOf);
      if (clients.length > 0) throw new Error(`IPVS has connections to ${this.name}: ${clients.join(', ')}`);
      const open = await this.tell('count');
      if (open > 0) throw new Error(`${this.name} still has ${open} connections`);
    }, milliseconds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    for await (const _ of this.#reader);
  }
}
