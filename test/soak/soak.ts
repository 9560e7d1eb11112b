import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { eventually } from '../support/daemon-process.js';
import type { Random } from '../support/random.js';
import { Daemons } from './daemons.js';
import { Disturbances } from './disturbances.js';
import { assertAsRendered } from './end-state.js';
import { abruptOf, isOfAbruptEnd, type SoakReport } from './report.js';
import { Roller } from './roller.js';
import { kernelSample, trendsOf, type Held, type Sample } from './samples.js';
import { Traffic } from './traffic.js';
import { WebPod } from './web-pods.js';
import { nodeAddress, webAddress, webNodePort, World } from './world.js';

export interface SoakOptions {
  readonly pods: number;
  /** Services beside the one that is asked. */
  readonly services: number;
  readonly random: Random;
  /** Pods end as soon as they are told to, minSyncPeriod is 1 s, and nothing but other Services changes beside. */
  readonly abrupt: boolean;
  readonly say: (text: string) => void;
}

const urls = {
  ClusterIP: `http://${webAddress}/`,
  NodePort: `http://${nodeAddress}:${webNodePort}/`,
};

const probe = pathToFileURL(fileURLToPath(new URL('./probe.js', import.meta.url))).href;
const probeFile = join(mkdtempSync(join(tmpdir(), 'probe-')), 'held.json');

const abruptRollouts = 'all pods ended abruptly and came back';

/** Fewer say nothing about a trend. */
const leastSamples = 8;

/** Requests to a Service of a cluster that changes, through a daemon that is replaced or left to run. */
export class Soak {
  readonly #began = performance.now();
  readonly #done: Record<string, number> = {};
  readonly #samples: Sample[] = [];
  readonly #troubles: string[] = [];
  readonly #disturbances: Disturbances;
  readonly #daemons: Daemons;

  private constructor(
    private readonly options: SoakOptions,
    private readonly world: World,
    private readonly roller: Roller,
    private readonly traffic: Traffic,
    daemons: Daemons,
  ) {
    this.#daemons = daemons;
    const { random, services } = options;
    this.#disturbances = new Disturbances(world, daemons, random, services);
  }

  static async start(options: SoakOptions): Promise<Soak> {
    const world = await World.start(options.random);
    const pods: WebPod[] = [];
    for (let number = 1; number <= options.pods; number += 1) pods.push(await WebPod.start(number));
    world.fill(options.services);
    const roller = new Roller(world, pods);
    process.env['SOAK_PROBE'] = probeFile;
    const daemons = new Daemons(world, options.random, {
      nodeArguments: ['--expose-gc', `--import=${probe}`],
      minSyncPeriod: options.abrupt ? '1s' : '0s',
    });
    await roller.begin();
    await daemons.synced();
    const traffic = new Traffic(['client', 'node', 'pod1'], urls, options.abrupt ? 'new' : 'all');
    return new Soak(options, world, roller, traffic, daemons);
  }

  /** Keeps pods rolling and other Services changing until the work has ended. */
  async #underChange(work: () => Promise<void>): Promise<void> {
    const ending = new AbortController();
    const until = (what: string, step: () => Promise<void>): Promise<void> =>
      this.check(what, async () => {
        while (!ending.signal.aborted) await step();
      });
    const rolling = until('pods of a Service roll', async () => {
      if (this.options.abrupt) {
        await this.roller.rollAbruptly(this.options.random);
        this.#count(abruptRollouts);
        return;
      }
      await this.roller.roll();
      this.#count('all pods rolled');
      await this.roller.scaleToOneAndBack();
      this.#count('scaled to one and back');
    });
    const changing = until('other Services change', async () => {
      this.world.change(this.options.services);
      this.#count('other Services changed');
      await sleep(50, undefined, { signal: ending.signal }).catch(() => {});
    });
    try {
      await work();
    } finally {
      ending.abort();
      await Promise.all([rolling, changing]);
    }
  }

  /** Restarts, kills and upgrades the daemon under change. */
  async replaceDaemons(times: {
    readonly restarts: number;
    readonly kills: number;
    readonly upgrades: number;
  }): Promise<void> {
    if (times.restarts + times.kills + times.upgrades === 0) return;
    await this.#underChange(async () => {
      for (let count = 0; count < times.restarts; count += 1) {
        await this.#daemons.restart();
        this.#count('daemon restarted');
      }
      for (let count = 1; count <= times.kills; count += 1) {
        await this.#daemons.kill(() => this.world.change(this.options.services));
        this.#count('daemon killed');
        // Now and then one lives, so that what waits for a daemon gets on.
        if (count % 5 === 0) await this.#daemons.synced();
        if (count % 20 === 0) this.options.say(`${count} kills`);
      }
      for (let count = 0; count < times.upgrades; count += 1) {
        await this.#daemons.upgrade();
        this.#count('daemon upgraded');
      }
    });
  }

  /** Leaves the daemon running for the time, under change and disturbances, and takes samples of it. */
  async churn(seconds: number): Promise<void> {
    const began = performance.now();
    const pause = Math.min(10, seconds / (4 * leastSamples));
    await this.#underChange(async () => {
      for (let sampled = 0; performance.now() - began < seconds * 1_000; ) {
        if (!this.options.abrupt) this.#count(this.#disturbances.next());
        await sleep(500 + this.options.random.below(1_500));
        const passed = (performance.now() - began) / 1_000;
        if (passed < sampled * pause) continue;
        sampled += 1;
        await this.#sample(passed);
      }
    });
  }

  async #sample(seconds: number): Promise<void> {
    const { current } = this.#daemons;
    rmSync(probeFile, { force: true });
    current.signal('SIGUSR2');
    await eventually(() => {
      if (!existsSync(probeFile)) throw new Error(`the daemon is silent:\n${current.log.slice(-2_000)}`);
    });
    const held = JSON.parse(readFileSync(probeFile, 'utf8')) as Held;
    const sample = { seconds, ...held, ...kernelSample(current.pid) };
    this.#samples.push(sample);
    if (this.#samples.length % 12 === 1) this.options.say(JSON.stringify(sample));
  }

  #count(what: string): void {
    this.#done[what] = (this.#done[what] ?? 0) + 1;
  }

  /** Lets everything settle and compares; ends the daemon and the requests. */
  async end(): Promise<SoakReport> {
    const { world } = this;
    this.options.say('settling');
    this.#disturbances.configure(4);
    await this.check('the table is as rendered', async () => {
      await this.#daemons.synced();
      const objects = [...world.server.list('Service'), ...world.server.list('EndpointSlice')];
      const nodes = world.server.list('Node');
      await eventually(() =>
        assertAsRendered([...objects, ...nodes], this.#disturbances.scheduler, [
          ...this.#disturbances.foreign,
        ]),
      );
    });
    this.options.say('settled');
    const paths = await this.traffic.end();
    const failures = paths.flatMap((path) => path.failures);
    const abrupt = this.options.abrupt ? abruptOf(failures, this.#done[abruptRollouts] ?? 0) : undefined;
    this.#troubles.push(
      ...(abrupt === undefined ? failures : failures.filter((text) => !isOfAbruptEnd(text))),
    );
    await this.#daemons[Symbol.asyncDispose]();
    const trends = this.#samples.length < leastSamples ? [] : trendsOf(this.#samples);
    return {
      seed: this.options.random.seed,
      seconds: (performance.now() - this.#began) / 1_000,
      services: this.options.services,
      done: this.#done,
      paths,
      samples: this.#samples,
      trends,
      ...(abrupt && { abrupt }),
      troubles: this.#troubles,
    };
  }

  /** What does not hold is a trouble of the report. */
  async check(what: string, check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      this.#troubles.push(`not so: ${what}: ${(error as Error).message.slice(0, 4_000)}`);
    }
  }
}
