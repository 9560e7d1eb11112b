import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run, runLine } from './lab-guest.js';
import { clientProgram } from './perl-programs.js';

const script = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url));
const inNamespace = (namespace: string, ...args: readonly string[]): ChildProcess =>
  spawn('ip', ['netns', 'exec', namespace, process.execPath, ...process.execArgv, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });

export type PairedNode = 'node1' | 'node2';

let nextPort = 20_000;

/** A client with one connection; it sends a request for each `ask`. */
export class LastingConnection implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    namespace: string,
    address: string,
    port: number,
    readonly localPort: number,
  ) {
    const client = [clientProgram, 'keep', 'tcp', address, String(port), String(localPort)];
    this.#child = spawn('ip', ['netns', 'exec', namespace, 'perl', ...client], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (this.#child.stdout === null) throw new Error('no standard output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Each connection has a port that no other one had. */
  static open(namespace: string, address: string, port: number): LastingConnection {
    nextPort += 1;
    return new LastingConnection(namespace, address, port, nextPort);
  }

  /** Sends one more request; who answered, or the error that ended the connection. */
  async ask(): Promise<string> {
    this.#child.stdin?.write('\n');
    return String((await this.#lines.next()).value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#child.exitCode === null ? once(this.#child, 'close') : undefined;
    this.#child.stdin?.end();
    await closed;
  }
}

const nodes = [1, 2] as const;
const namespaces = ['lan', 'client', 'node1', 'node2', 'pod1', 'pod2', 'pod3'];

const commands = [
  '-n lan link add br0 type bridge',
  '-n lan link set br0 up',
  '-n lan link add client type veth peer name eth0 netns client',
  '-n client addr add 192.0.2.9/24 dev eth0',
  '-n client addr add 2001:db8:1::9/64 dev eth0 nodad',
  '-n lan link add br1 type bridge',
  '-n lan link set br1 up',
  '-n lan link add pod3 type veth peer name eth0 netns pod3',
  '-n pod3 addr add 10.244.3.10/24 dev eth0',
  '-n pod3 addr add fd00:244:3::10/64 dev eth0 nodad',
  '-n node1 link add sync0 type veth peer name sync0 netns node2',
  ...nodes.flatMap((node) => [
    `-n lan link add node${node} type veth peer name eth0 netns node${node}`,
    `-n node${node} addr add 192.0.2.${node}/24 dev eth0`,
    `-n node${node} addr add 2001:db8:1::${node}/64 dev eth0 nodad`,
    `-n node${node} addr add 198.18.0.${node}/24 dev sync0`,
    `-n node${node} addr add 2001:db8:2::${node}/64 dev sync0 nodad`,
    `-n node${node} link add pod0 type veth peer name eth0 netns pod${node}`,
    `-n node${node} addr add 10.244.${node}.1/24 dev pod0`,
    `-n node${node} addr add fd00:244:${node}::1/64 dev pod0 nodad`,
    `-n lan link add inner${node} type veth peer name pods0 netns node${node}`,
    `-n node${node} addr add 10.244.3.${node}/24 dev pods0`,
    `-n node${node} addr add fd00:244:3::${node}/64 dev pods0 nodad`,
    `-n pod${node} addr add 10.244.${node}.10/24 dev eth0`,
    `-n pod${node} addr add fd00:244:${node}::10/64 dev eth0 nodad`,
  ]),
  ...['client', 'node1', 'node2'].map((port) => `-n lan link set ${port} master br0`),
  ...['pod3', 'inner1', 'inner2'].map((port) => `-n lan link set ${port} master br1`),
  ...['client', 'node1', 'node2', 'pod3', 'inner1', 'inner2'].map((port) => `-n lan link set ${port} up`),
  ...['client', 'node1', 'node2', 'pod1', 'pod2', 'pod3'].map((each) => `-n ${each} link set eth0 up`),
  ...nodes.flatMap((node) => [
    `-n node${node} link set sync0 up`,
    `-n node${node} link set pod0 up`,
    `-n node${node} link set pods0 up`,
    `-n pod${node} route add default via 10.244.${node}.1`,
    `-n pod${node} route add default via fd00:244:${node}::1`,
    `-n node${node} route add 10.244.${3 - node}.0/24 via 192.0.2.${3 - node}`,
    `-n node${node} route add fd00:244:${3 - node}::/64 via 2001:db8:1::${3 - node}`,
  ]),
];

/**
 * Two nodes with a pod each (10.244.1.10, 10.244.2.10, port 8080), and a client, on one network:
 *
 *   client ---- lan ---- node1 ==== pod1
 *                  \---- node2 ==== pod2
 *                  (sync0 connects node1 and node2)
 */
export class NodePair implements AsyncDisposable {
  readonly #servers: ChildProcess[] = [];

  static async up(): Promise<NodePair> {
    for (const name of namespaces) {
      run('ip', 'netns', 'add', name);
      run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    }
    for (const command of commands) runLine(`ip ${command}`);
    for (const node of nodes)
      for (const setting of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])
        run('ip', 'netns', 'exec', `node${node}`, 'sysctl', '-qw', `${setting}=1`);
    const pair = new NodePair();
    for (const pod of ['pod1', 'pod2', 'pod3']) {
      const server = inNamespace(pod, script('pod-server'), pod, '8080');
      pair.#servers.push(server);
      if (server.stdout !== null) await once(server.stdout, 'readable');
    }
    return pair;
  }

  /** Leads the client's packets to the address through the node, as an announcement of the node would. */
  lead(address: string, node: PairedNode): void {
    const number = node.slice(-1);
    const gateway = address.includes(':') ? `2001:db8:1::${number}` : `192.0.2.${number}`;
    run('ip', '-n', 'client', 'route', 'replace', address, 'via', gateway);
    run('ip', '-n', 'pod3', 'route', 'replace', 'default', 'via', `10.244.3.${number}`);
    run('ip', '-n', 'pod3', '-6', 'route', 'replace', 'default', 'via', `fd00:244:3::${number}`);
  }

  /** Takes the node from the network, as its death does. */
  kill(node: PairedNode): void {
    for (const port of [node, `inner${node.slice(-1)}`]) run('ip', '-n', 'lan', 'link', 'set', port, 'down');
    run('ip', '-n', node, 'link', 'set', 'sync0', 'down');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      const closed = once(server, 'close');
      server.kill('SIGKILL');
      await closed;
    }
    for (const name of namespaces) run('ip', 'netns', 'del', name);
  }
}
