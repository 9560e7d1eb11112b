import { sleep } from '../../base/async.js';
import { formatDuration } from '../../base/duration.js';
import { BaseError } from '../../base/errors.js';
import type { DaemonTarget } from '../../fleet/daemon-pods.js';
import type { TrafficGrouping, TrafficRow } from '../../fleet/traffic.js';
import { daemonContainer } from './cluster.js';
import { unansweredReason, type Fleet } from './fleet.js';

/** A command in a pod does not notice that its client has left: it ends after so many samples, and is started again. */
const samplesPerCommand = 15;

/** Commands are started in groups as large as --parallel, one each such time; milliseconds. */
const groupMilliseconds = 250;
/** A node that failed is asked again after this time. */
const retryMilliseconds = 5_000;
/** How often the first samples are looked for. */
const checkMilliseconds = 100;

export interface TrafficStreamOptions {
  readonly grouping: TrafficGrouping;
  readonly intervalMilliseconds: number;
}

/** The lines of chunks of bytes. */
class LineBuffer {
  #rest = '';
  readonly #decoder = new TextDecoder();

  push(chunk: Buffer): readonly string[] {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines;
  }
}

/** The last sample of each node, which `kube-ipvs top --batch` on it prints again and again. */
export class TrafficStreams {
  /** By node. */
  readonly latest = new Map<string, readonly TrafficRow[]>();
  readonly #failed = new Map<string, string>();
  readonly #followers: readonly Promise<void>[];

  constructor(
    private readonly fleet: Fleet,
    private readonly options: TrafficStreamOptions,
    private readonly signal: AbortSignal,
  ) {
    for (const { node, reason } of fleet.unreachable) this.#failed.set(node, reason);
    this.#followers = fleet.members.targets.map((target, index) => this.#follow(target, index));
  }

  get unanswered(): readonly { readonly node: string; readonly reason: string }[] {
    return [...this.#failed].map(([node, reason]) => ({ node, reason }));
  }

  /** Resolves after one interval; the first time once each node has a sample or has failed. */
  async nextSample(signal: AbortSignal): Promise<void> {
    const total = this.fleet.members.targets.length + this.fleet.unreachable.length;
    const end =
      performance.now() + this.options.intervalMilliseconds + this.fleet.options.timeoutMilliseconds;
    const isWaiting = (): boolean =>
      this.#failed.size + this.latest.size < total && performance.now() < end && !signal.aborted;
    if (!isWaiting()) return sleep(this.options.intervalMilliseconds, signal);
    while (isWaiting()) await sleep(checkMilliseconds, signal);
  }

  async closed(): Promise<void> {
    await Promise.all(this.#followers);
  }

  async #follow(target: DaemonTarget, index: number): Promise<void> {
    await sleep(Math.floor(index / this.fleet.options.parallel) * groupMilliseconds, this.signal);
    while (!this.signal.aborted) {
      try {
        await this.#readSamples(target);
      } catch (error) {
        if (this.signal.aborted) return;
        this.latest.delete(target.node);
        this.#failed.set(target.node, unansweredReason(error, this.fleet.options));
        await sleep(retryMilliseconds, this.signal);
      }
    }
  }

  async #readSamples({ node, pod }: DaemonTarget): Promise<void> {
    const { grouping, intervalMilliseconds } = this.options;
    const { namespace } = this.fleet.options;
    const lines = new LineBuffer();
    const by = grouping === 'backend' ? 'real' : 'service';
    const interval = formatDuration(intervalMilliseconds);
    const command = [
      'top',
      '--batch',
      '-o',
      'json',
      '--by',
      by,
      '-d',
      interval,
      '-n',
      String(samplesPerCommand),
    ];
    const { stderr, exitCode } = await this.fleet.cluster.exec.run(
      { namespace, pod, container: daemonContainer, command: ['kube-ipvs', ...command] },
      {
        signal: AbortSignal.any([this.signal, AbortSignal.timeout(this.#commandMilliseconds)]),
        onOutput: (chunk) => {
          for (const line of lines.push(chunk)) this.#addSample(node, line);
        },
      },
    );
    if (exitCode !== 0) throw new BaseError(stderr.trim() || `kube-ipvs top ended with status ${exitCode}`);
  }

  /** Rates need two samples: the first one is not printed. */
  get #commandMilliseconds(): number {
    const { intervalMilliseconds } = this.options;
    return (samplesPerCommand + 1) * intervalMilliseconds + this.fleet.options.timeoutMilliseconds;
  }

  #addSample(node: string, line: string): void {
    const { rows } = JSON.parse(line) as { readonly rows: readonly TrafficRow[] };
    this.latest.set(node, rows);
    this.#failed.delete(node);
  }
}
