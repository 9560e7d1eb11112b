import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run } from '../support/lab-guest.js';
import type { Question, Received, Reply } from './messages.js';

const agent = fileURLToPath(new URL('./agent.js', import.meta.url));

/** Who asks: outside, the node itself, a pod on it that is a backend, one that is none, and a pod on another node. */
export const positions = ['client', 'node', 'a', 'c', 'x'] as const;
export type Position = (typeof positions)[number];
export type Pod = 'a' | 'b' | 'x';
type Namespace = Position | Pod;

/** Stands for the health checks of Services where the daemon has ended when they are asked for. */
export const healthResponse = 'HTTP/1.0 200 OK';
/** A daemon of the node on all its addresses, as sshd is. */
export const daemonPort = 22;
export const daemonResponse = 'daemon';
/** Where every pod answers `NAME-8081`, and where it sends back what it gets. */
export const secondPort = 8_081;
export const echoPort = 8_082;

const ofPod = (name: string): readonly string[] => [
  '8080',
  `${secondPort}=${name}-8081`,
  `${echoPort}=@echo`,
];

interface PromiseCallbacks {
  readonly resolve: (answers: readonly string[]) => void;
  readonly reject: (error: Error) => void;
}

class Agent {
  readonly received: Received[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseCallbacks>();
  #becameReady = (): void => {};
  readonly ready = new Promise<void>((resolve) => (this.#becameReady = resolve));

  constructor(namespace: Namespace, answering: readonly string[]) {
    const command = [process.execPath, ...process.execArgv, agent, namespace, ...answering];
    this.#child = spawn('ip', ['netns', 'exec', namespace, ...command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('no standard output');
    this.#child.on('close', (status) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`the agent at ${namespace} ended: ${status}`));
    });
    createInterface({ input: stdout }).on('line', (line) => this.#take(line));
  }

  ask(question: Question): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(question.id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    });
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  #take(line: string): void {
    if (line === 'ready') return this.#becameReady();
    // The agent writes nothing else.
    const message = JSON.parse(line) as Reply | Received;
    if ('received' in message) return void this.received.push(message);
    this.#waiting.get(message.id)?.resolve(message.answers);
    this.#waiting.delete(message.id);
  }
}

/** The namespaces of `scripts/kernel-lab/network up --two-nodes`: the pods a, b and x and the node answer on the ports 8080 to 8082, the node on port 22 and health check ports. */
export class TwoNodeNetwork implements AsyncDisposable {
  readonly #agents: ReadonlyMap<Namespace, Agent>;
  #questions = 0;

  private constructor(agents: ReadonlyMap<Namespace, Agent>) {
    this.#agents = agents;
  }

  static async up(healthCheckPorts: readonly number[]): Promise<TwoNodeNetwork> {
    run('scripts/kernel-lab/network', 'up', '--two-nodes');
    const ofNode = [
      ...ofPod('node'),
      `${daemonPort}=${daemonResponse}`,
      ...healthCheckPorts.map((port) => `${port}=${healthResponse}`),
    ];
    const answering: Readonly<Record<Namespace, readonly string[]>> = {
      client: [],
      node: ofNode,
      a: ofPod('a'),
      b: ofPod('b'),
      c: [],
      x: ofPod('x'),
    };
    const agents = new Map<Namespace, Agent>();
    for (const namespace of ['client', 'node', 'a', 'b', 'c', 'x'] satisfies Namespace[])
      agents.set(namespace, new Agent(namespace, answering[namespace]));
    await Promise.all([...agents.values()].map((each) => each.ready));
    return new TwoNodeNetwork(agents);
  }

  /** The answers, in their order; and for UDP, where there is none, who got the datagram all the same. */
  async ask(
    from: Position,
    question: Omit<Question, 'id'>,
  ): Promise<{ readonly answers: readonly string[]; readonly unanswered: readonly Received[] }> {
    const asker = this.#agents.get(from);
    if (asker === undefined) throw new Error(`nobody is at ${from}`);
    this.#questions += 1;
    const id = this.#questions;
    const answers = await asker.ask({ ...question, id });
    const lost = new Set(
      answers.flatMap((answer, index) => (answer === 'timeout' ? [`${id}.${index}`] : [])),
    );
    const unanswered = [...this.#agents.values()].flatMap(({ received }) =>
      received.filter((datagram) => lost.has(datagram.received)),
    );
    return { answers, unanswered };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map((each) => each.end()));
    run('scripts/kernel-lab/network', 'down');
  }
}
