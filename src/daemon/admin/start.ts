import { bootMilliseconds } from '../../base/boot-clock.js';
import { messageOf } from '../../base/errors.js';
import { SerialQueue } from '../../base/async.js';
import type { Logger } from '../../base/log.js';
import type { Source } from '../../watch/source.js';
import type { RecentEvents } from '../events/recent-events.js';
import type { LiveSettings } from '../live-settings.js';
import type { Handler } from '../serving/answer.js';
import type { Wired } from '../wiring.js';
import { kernelFacts } from '../kernel-access.js';
import { adminHandler } from './handler.js';
import { Names } from './names.js';
import { AdminSocket, SocketError } from './socket.js';

export interface AdminStartParts {
  readonly settings: LiveSettings;
  readonly wired: Wired;
  readonly source: Pick<Source, 'name' | 'health'>;
  readonly recentEvents: RecentEvents;
  readonly log: Logger;
}

/** Says whose the daemon's things are. */
export const namesFor = (
  { store, wanted, observed, reconciler, contested }: Omit<Wired, 'proxy'>,
  settings: LiveSettings,
): Names =>
  new Names({
    store,
    desired: wanted.desired,
    observed,
    lingering: wanted.lingering,
    drains: reconciler.drains,
    drainSettings: () => ({ deadlines: settings.now.drainDeadlines }),
    contested,
    node: () => wanted.node,
    now: bootMilliseconds,
  });

const handlerOf = ({ settings, wired, source, recentEvents: events }: AdminStartParts): Handler => {
  const { store, wanted, observed, reconciler, contested, packetRules } = wired;
  const { desired } = wanted;
  const names = namesFor(wired, settings);
  return adminHandler({
    status: { wired, settings, source, names },
    story: { store, wanted, observed, reconciler, names, events },
    lookup: { store, desired, names },
    names,
    proxy: wired.proxy,
    desired,
    wanted: contested,
    lingering: wanted.lingering,
    packetRules,
    settings: () => settings.now,
    facts: kernelFacts(),
    observed,
    reconciler,
  });
};

/** How often a place that was another's is looked at again. */
const retryMilliseconds = 10_000;

/** Keeps the socket at a path. Where it cannot be, the daemon works without, and says so once for each reason. */
class KeptSocket implements AsyncDisposable {
  readonly #queue = new SerialQueue();
  #socket: AdminSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #trouble: string | undefined;
  #stopped = false;

  constructor(
    private readonly path: string,
    private readonly handler: Handler,
    private readonly log: Logger,
  ) {}

  /** Never rejects. */
  open(): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#stopped) return;
      try {
        this.#socket = await AdminSocket.open(this.path, this.handler, this.log);
        this.#trouble = undefined;
        this.log.info({ path: this.path }, 'the admin socket listens');
      } catch (error) {
        this.#tell(messageOf(error), error instanceof SocketError ? error.remedy : undefined);
        this.#timer = setTimeout(() => void this.open(), retryMilliseconds);
      }
    });
  }

  #tell(trouble: string, remedy: string | undefined): void {
    if (trouble !== this.#trouble)
      this.log.warn(
        { trouble, ...(remedy !== undefined && { remedy }) },
        'there is no admin socket: kube-ipvs dump and its like know no names here; it is tried again every 10 s',
      );
    this.#trouble = trouble;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#queue.run(async () => this.#socket?.[Symbol.asyncDispose]());
  }
}

/** Serves the state of the daemon on the admin socket until it is disposed of. */
export const startAdmin = async (parts: AdminStartParts): Promise<AsyncDisposable> => {
  const { settings, log } = parts;
  const path = settings.now.adminSocket;
  if (path === '') return { [Symbol.asyncDispose]: async () => {} };
  const kept = new KeptSocket(path, handlerOf(parts), log);
  await kept.open();
  return kept;
};
