import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiServer } from '../support/api-server.js';
import { until } from '../support/eventually.js';
import { runLine } from '../support/lab-guest.js';
import type { Random } from '../support/random.js';
import type { Excuse, Outcome } from './cluster-report.js';
import { podSockets, realServersOf, webAddresses, type ClusterWorld } from './cluster-world.js';
import type { Daemons } from './daemons.js';
import { realServerText, weightsOf } from './kernel-table.js';
import type { WebPod } from './web-pods.js';

/** A guest may have little of a busy machine. */
const patienceMilliseconds = 120_000;
/** What was scheduled right before may still fail, and a busy client notices it late. */
const marginMilliseconds = 1_000;

/** Resolves once it holds; how long that took, in milliseconds. */
const becomes = async (what: string, holds: () => boolean): Promise<number> => {
  const began = performance.now();
  while (!holds()) {
    if (performance.now() - began > patienceMilliseconds) throw new Error(`never so: ${what}`);
    await sleep(10);
  }
  return performance.now() - began;
};

const kernelTable = (): string => readFileSync('/proc/net/ip_vs', 'latin1');

/** Whether every real server that a pod is has weight 1, or none takes new connections. */
const serves = (number: number, wanted: boolean): boolean =>
  realServersOf(number).every((realServer) => {
    const weights = [...weightsOf(realServer).values()];
    return wanted
      ? weights.length >= 3 && weights.every((weight) => weight === 1)
      : weights.every((weight) => weight === 0);
  });

/** What befalls a cluster, one at a time; each resolves when all is as before. */
export class ClusterDisturbances {
  excuses: Excuse[] = [];
  /** Milliseconds to the kernel: from a change of the API, or from when the API server is back and refuses nothing more. */
  reactions: number[] = [];
  scheduler = 'rr';

  constructor(
    private readonly world: ClusterWorld,
    private readonly daemons: Daemons,
    private readonly pods: readonly WebPod[],
    private readonly random: Random,
  ) {}

  readonly kinds: Readonly<Record<string, () => Promise<void>>> = {
    'rollout, graceful': () => this.#eachPod((number) => this.#leaveGracefully([number])),
    'rollout, abrupt': () => this.#eachPod((number) => this.#leaveAbruptly(number, () => {})),
    'scaled to zero and back': () => this.#scaleToZero(),
    'node deleted and back': () => this.#deleteNode(),
    'configuration changed': () => this.#changeConfiguration(),
    'daemon restarted': () => this.daemons.restart(),
    'API server restarted': () => this.#restartServer(() => {}),
    'API server restarted, 403 at first': () =>
      this.#restartServer((server) =>
        server.fail({ fault: { fault: 'status', status: 403, reason: 'Forbidden' }, times: 6 }),
      ),
    'API server restarted, 429 at first': () =>
      this.#restartServer((server) =>
        server.fail({
          fault: { fault: 'status', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 },
          times: 6,
        }),
      ),
    'API server half-open': () => this.#halfOpen(),
  };

  async #reaction(what: string, holds: () => boolean): Promise<void> {
    this.reactions.push(await becomes(what, holds));
  }

  #excuse(from: number, outcomes: readonly Outcome[]): void {
    this.excuses.push({ from, to: Date.now() + marginMilliseconds, outcomes });
  }

  #podOf(number: number): WebPod {
    const pod = this.pods[number - 1];
    if (pod === undefined) throw new Error(`no pod ${number}`);
    return pod;
  }

  /** All pods, which are open, serve. */
  async start(): Promise<void> {
    const numbers = this.pods.map((_, index) => index + 1);
    for (const number of numbers) this.world.setWeb(number, 'ready');
    await becomes('all pods serve', () => numbers.every((each) => serves(each, true)));
  }

  async #eachPod(leave: (number: number) => Promise<void>): Promise<void> {
    for (let number = 1; number <= this.pods.length; number += 1) {
      await leave(number);
      await this.#begin([number]);
    }
  }

  /** These pods, which are closed, open and serve. */
  async #begin(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) {
      await this.#podOf(number).tell('open');
      this.world.setWeb(number, 'ready');
    }
    await this.#reaction(`pods ${numbers.join()} serve`, () => numbers.every((each) => serves(each, true)));
  }

  /** They tell clients to close, are left alone, and end when nobody is connected any more. */
  async #leaveGracefully(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) {
      await this.#podOf(number).tell('drain');
      this.world.setWeb(number, 'terminating');
    }
    // Where no other is ready, those that end still serve.
    if (numbers.length === this.pods.length) for (const number of numbers) this.world.setWeb(number, 'gone');
    await this.#reaction(`pods ${numbers.join()} leave`, () => numbers.every((each) => serves(each, false)));
    for (const number of numbers) {
      const pod = this.#podOf(number);
      await pod.becomesIdle(podSockets(number), patienceMilliseconds);
      this.world.setWeb(number, 'gone');
      await pod.tell('close');
    }
  }

  /** The pod exits in the moment in which the API says that it ends. */
  async #leaveAbruptly(number: number, also: () => void): Promise<void> {
    const from = Date.now();
    this.world.setWeb(number, 'terminating');
    also();
    await this.#podOf(number).tell('close');
    await this.#reaction(`pod ${number} leaves`, () => serves(number, false));
    this.#excuse(from, ['refused', 'reset']);
    this.world.setWeb(number, 'gone');
  }

  async #scaleToZero(): Promise<void> {
    const all = this.pods.map((_, index) => index + 1);
    const from = Date.now();
    await this.#leaveGracefully(all);
    await sleep(1_000);
    await this.#begin(all);
    this.#excuse(from, ['refused']);
  }

  /** Pod 3 is on it. */
  async #deleteNode(): Promise<void> {
    await this.#leaveAbruptly(3, () => this.world.deleteNode('n2'));
    await sleep(1_000);
    this.world.putNode('n2');
    await this.#begin([3]);
  }

  async #changeConfiguration(): Promise<void> {
    const before = this.scheduler;
    this.scheduler = this.random.pick(['rr', 'lc', 'wrr'].filter((scheduler) => scheduler !== before));
    this.configure();
    const web = `TCP  ${realServerText(webAddresses.ClusterIP.IPv4, 80)} ${this.scheduler} `;
    await this.#reaction(`the scheduler is ${this.scheduler}`, () => kernelTable().includes(web));
  }

  configure(): void {
    this.daemons.configure({ syncPeriodSeconds: 30, scheduler: this.scheduler });
  }

  async #followed(): Promise<void> {
    const changes = [this.world.mark(), this.world.markService()];
    await this.#reaction('what changed after the outage is in force', () => {
      const table = kernelTable();
      return changes.every((text) => table.includes(text));
    });
  }

  async #restartServer(atStart: (server: ApiServer) => void): Promise<void> {
    await this.world.restart(() => sleep(2_000), atStart);
    await until('the API server refuses nothing more', () => this.world.server.pendingFaults === 0);
    await this.#followed();
  }

  /** Packets to and from the server vanish. */
  async #halfOpen(): Promise<void> {
    const { port } = this.world.server;
    runLine('nft add table ip cut');
    runLine('nft add chain ip cut input { type filter hook input priority 0 ; }');
    for (const end of ['dport', 'sport']) runLine(`nft add rule ip cut input tcp ${end} ${port} drop`);
    this.world.change();
    await sleep(5_000);
    runLine('nft delete table ip cut');
    await this.#followed();
  }
}
