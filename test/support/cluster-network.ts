import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run } from './lab-guest.js';
import { linkNode } from './link-node.js';
import { clientProgram } from './perl-programs.js';

const podServer = fileURLToPath(new URL('./pod-server.js', import.meta.url));
const inNamespace = (namespace: string, ...command: readonly string[]): ChildProcess =>
  spawn('ip', ['netns', 'exec', namespace, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });

export type Position = 'client' | 'node' | 'pod1' | 'pod2' | 'pod3';

/** A client that keeps its connections open. */
export class HoldingClient implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor(from: Position, address: string, port: number) {
    this.#child = inNamespace(from, 'perl', clientProgram, 'hold', address, String(port));
    if (this.#child.stdout === null) throw new Error('no standard output');
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Opens one more connection; which pod answered. */
  async open(): Promise<string> {
    this.#child.stdin?.write('open\n');
    return String((await this.#lines.next()).value);
  }

  close(answeredBy: string): void {
    this.#child.stdin?.write(`close ${answeredBy}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    await once(this.#child, 'close');
  }
}

/** The namespaces client, node and pods of scripts/kernel-lab/network, with a server in every pod on port 8080. */
export class ClusterNetwork implements AsyncDisposable {
  readonly #servers: ChildProcess[] = [];

  static async up(pods: number): Promise<ClusterNetwork> {
    // A guest tracks 4,096 connections by itself, each for two minutes after its end: a steady client makes more, and the kernel
    // then drops or resets new ones.
    run('sysctl', '-qw', 'net.netfilter.nf_conntrack_max=65536');
    run('scripts/kernel-lab/network', 'up', '--pods', String(pods));
    const network = new ClusterNetwork();
    for (let pod = 1; pod <= pods; pod += 1) {
      // A pod forgets a closed connection at once. When IPVS loses its table, the node masquerades new connections with ports of
      // lost ones. A pod that remembers one answers the new first packet as part of it, so the client resets that and repeats the
      // packet. IPVS takes this for a second connection, and Linux 7.2 may deliver its data to the pod of the first.
      run('ip', 'netns', 'exec', `pod${pod}`, 'sysctl', '-qw', 'net.ipv4.tcp_max_tw_buckets=0');
      const server = [process.execPath, ...process.execArgv, podServer, `pod${pod}`, '8080'];
      network.#servers.push(inNamespace(`pod${pod}`, ...server));
    }
    for (const { stdout } of network.#servers)
      if (stdout?.readableLength === 0) await once(stdout, 'readable');
    return network;
  }

  /** Sends requests from a position, each from a socket of its own; who answered, or what went wrong. */
  ask(from: Position, kind: 'tcp' | 'udp', address: string, port: number, count: number): readonly string[] {
    const client = ['perl', clientProgram, 'ask', kind, address, String(port), String(count)];
    return run('ip', 'netns', 'exec', from, ...client)
      .trim()
      .split('\n');
  }

  /** Links the node to where we are; gives our address on that link, for a server that the daemon there is to reach. */
  linkNode(): string {
    linkNode('198.18.0.1/30', '198.18.0.2/30');
    return '198.18.0.1';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      const closed = once(server, 'close');
      server.kill('SIGKILL');
      await closed;
    }
    run('scripts/kernel-lab/network', 'down');
  }
}
