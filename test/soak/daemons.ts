import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonProcess, eventually, type DaemonOptions } from '../support/daemon-process.js';
import { thisNode } from '../support/objects.js';
import type { Random } from '../support/random.js';
import { weightsOf } from './kernel-table.js';
import type { World } from './world.js';

/** A guest may have little of a busy machine. */
export const patienceMilliseconds = 120_000;

const folder = mkdtempSync(join(tmpdir(), 'daemons-'));

/** The bundle at a path of its own, as another version of a package is. */
const otherInstallation = (): string => {
  cpSync('dist', join(folder, 'dist'), { recursive: true });
  return join(folder, 'dist/kube-ipvs.js');
};

/** What our configuration says beside the world's address. */
export interface Configuration {
  readonly syncPeriodSeconds: number;
  readonly scheduler: string;
}

/** The daemon of a node, which is stopped, killed and replaced. */
export class Daemons implements AsyncDisposable {
  readonly #config = join(folder, 'config.yaml');
  #installed = resolve('dist/kube-ipvs.js');
  #other: string | undefined;
  #current: DaemonProcess;
  /** Lines that nobody expects of a daemon that can reach its API server. */
  readonly errors: string[] = [];
  #read = 0;

  constructor(
    private readonly world: Pick<World, 'kubeconfig' | 'mark'>,
    private readonly random: Random,
    private readonly options: Pick<DaemonOptions, 'nodeArguments'> & { readonly minSyncPeriod?: string } = {},
  ) {
    this.configure({ syncPeriodSeconds: 30, scheduler: 'rr' });
    this.#current = this.#begin();
  }

  get current(): DaemonProcess {
    return this.#current;
  }

  /** Writes the configuration; the daemon follows it by itself. */
  configure({ syncPeriodSeconds, scheduler }: Configuration): void {
    const kubeProxy = {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'ipvs',
      hostnameOverride: thisNode,
      clientConnection: { kubeconfig: this.world.kubeconfig },
      detectLocalMode: 'NodeCIDR',
      logging: { format: 'json' },
      // The guest's limits are set before, once.
      conntrack: { maxPerCore: 0, min: 0 },
      ipvs: {
        syncPeriod: `${syncPeriodSeconds}s`,
        minSyncPeriod: this.options.minSyncPeriod ?? '0s',
        scheduler,
      },
    };
    writeFileSync(this.#config, JSON.stringify(kubeProxy));
  }

  #begin(): DaemonProcess {
    this.#read = 0;
    const { nodeArguments = [] } = this.options;
    return new DaemonProcess([`--config=${this.#config}`], { program: this.#installed, nodeArguments });
  }

  /** The daemon that runs now follows what changes. */
  async synced(): Promise<void> {
    const daemon = this.#current;
    const mark = this.world.mark();
    await eventually(() => {
      if (weightsOf(mark).size === 0) throw new Error(`it does not follow:\n${daemon.log.slice(-2_000)}`);
    }, patienceMilliseconds);
  }

  #collect(daemon: DaemonProcess): void {
    const text = daemon.log.slice(this.#read);
    this.#read = daemon.log.length;
    for (const line of text.split('\n'))
      if (/"level":"error"|unhandled|Error:/.test(line)) this.errors.push(line);
  }

  /** Ends as a DaemonSet ends a pod, then starts again. */
  async restart(): Promise<void> {
    const status = await this.#current.stop('SIGTERM');
    this.#collect(this.#current);
    if (status !== 0) throw new Error(`the daemon ended with ${status}:\n${this.#current.log.slice(-2_000)}`);
    this.#current = this.#begin();
    await this.synced();
  }

  /**
   * Killed within the first second and a half of its life: while it loads, reads the kernel, syncs for the first time or follows
   * what changes. `meanwhile` runs while nobody is there.
   */
  async kill(meanwhile: () => void): Promise<void> {
    await sleep(this.random.next() * 1_500);
    await this.#current.stop('SIGKILL');
    this.#collect(this.#current);
    meanwhile();
    this.#current = this.#begin();
  }

  /** The other installation starts while this one runs, which then ends. */
  async upgrade(): Promise<void> {
    this.#other ??= otherInstallation();
    const old = this.#current;
    [this.#installed, this.#other] = [this.#other, this.#installed];
    const overlaps = this.random.next() < 0.5;
    if (overlaps) {
      this.#collect(old);
      this.#current = this.#begin();
      await sleep(this.random.next() * 3_000);
      await old.stop('SIGTERM');
    } else {
      await old.stop('SIGTERM');
      this.#collect(old);
      this.#current = this.#begin();
    }
    await this.synced();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#collect(this.#current);
    await this.#current[Symbol.asyncDispose]();
  }
}
