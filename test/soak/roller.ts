import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/daemon-process.js';
import type { Random } from '../support/random.js';
import { patienceMilliseconds } from './daemons.js';
import { realServerText, weightsOf } from './kernel-table.js';
import type { WebPod } from './web-pods.js';
import { nodeAddress, webAddress, webNodePort, type World } from './world.js';

const frontends = [realServerText(webAddress, 80), realServerText(nodeAddress, webNodePort)];

/** Rolls the pods of `web` as a Deployment does, each with an orderly end; pods keep their addresses. */
export class Roller {
  constructor(
    private readonly world: World,
    private readonly pods: readonly WebPod[],
  ) {}

  async begin(): Promise<void> {
    for (const { address } of this.pods) this.world.setWeb(address, 'ready');
  }

  /** Every frontend of `web` has the pod with a weight that holds. */
  async comesTo(pod: WebPod, what: string, holds: (weight: number | undefined) => boolean): Promise<void> {
    await eventually(() => {
      const weights = weightsOf(realServerText(pod.address, 8080));
      if (!frontends.every((frontend) => holds(weights.get(frontend))))
        throw new Error(`${pod.name} is not ${what}: ${JSON.stringify([...weights])}`);
    }, patienceMilliseconds);
  }

  async stop(pod: WebPod): Promise<void> {
    await pod.tell('drain');
    this.world.setWeb(pod.address, 'terminating');
    await this.comesTo(pod, 'drained', (weight) => weight === undefined || weight === 0);
    await pod.becomesIdle([`${pod.address}:8080`], patienceMilliseconds);
    this.world.setWeb(pod.address, 'gone');
    // The real server stays until IPVS has forgotten its last connection, which takes minutes.
    await pod.tell('close');
  }

  async start(pod: WebPod): Promise<void> {
    await pod.tell('open');
    this.world.setWeb(pod.address, 'ready');
    await this.comesTo(pod, 'back', (weight) => weight === 1);
  }

  /** One after the other is replaced. */
  async roll(): Promise<void> {
    for (const pod of this.pods) {
      await this.stop(pod);
      await this.start(pod);
    }
  }

  /**
   * One after the other ends as soon as it is told to, as most programs do at SIGTERM: what was going to it is reset, and new
   * connections are refused until the kernel knows. The time between the slice that says so and the end is the kubelet's.
   */
  async rollAbruptly(random: Random): Promise<void> {
    for (const pod of this.pods) {
      await sleep(500 + random.below(1_000));
      this.world.setWeb(pod.address, 'terminating');
      await sleep(random.below(100));
      await pod.tell('close');
      await this.comesTo(pod, 'drained', (weight) => weight === undefined || weight === 0);
      this.world.setWeb(pod.address, 'gone');
      await this.start(pod);
    }
  }

  /** All but one go at once, and come back. */
  async scaleToOneAndBack(): Promise<void> {
    const others = this.pods.slice(1);
    await Promise.all(others.map((pod) => this.stop(pod)));
    await Promise.all(others.map((pod) => this.start(pod)));
  }
}
