import { bootMilliseconds } from '../../base/boot-clock.js';
import { messageOf } from '../../base/errors.js';
import { SerialQueue } from '../../base/async.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import { serviceDefaultTexts } from '../../config/resolve-configuration.js';
import type { Source } from '../../watch/source.js';
import type { RecentEvents } from '../events/recent-events.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { Handler } from '../serving/http-response.js';
import type { Composition } from '../compose.js';
import { kernelFacts } from '../kernel/kernel-access.js';
import { adminHandler } from './admin-handler.js';
import { VirtualServerDescriptions } from './virtual-server-descriptions.js';
import { AdminSocket, AdminSocketError } from './admin-socket.js';

export interface AdminStartParts {
  readonly settings: LiveSettings;
  readonly composition: Composition;
  readonly source: Pick<Source, 'name' | 'health'>;
  readonly recentEvents: RecentEvents;
  readonly log: Logger;
}

/** Describes the virtual servers of the daemon. */
export const describeVirtualServers = (
  {
    store,
    desiredStateUpdater,
    observed,
    reconciler,
    foreignVirtualServers,
    orphaned,
  }: Omit<Composition, 'syncLoop'>,
  settings: LiveSettings,
): VirtualServerDescriptions =>
  new VirtualServerDescriptions({
    store,
    desired: desiredStateUpdater.desired,
    observed,
    orphaned,
    drains: reconciler.drains,
    drainSettings: () => ({ deadlines: settings.now.drainDeadlines }),
    foreignVirtualServers,
    node: () => desiredStateUpdater.node,
    weightOf: (service, endpoint) => desiredStateUpdater.endpointWeight(service, endpoint),
    now: bootMilliseconds,
  });

const handlerOf = ({ settings, composition, source, recentEvents: events }: AdminStartParts): Handler => {
  const { store, desiredStateUpdater, observed, reconciler, desiredNodeState, orphaned, packetRules } =
    composition;
  const { desired } = desiredStateUpdater;
  const descriptions = describeVirtualServers(composition, settings);
  return adminHandler({
    status: { composition, settings, source, descriptions },
    serviceReport: {
      store,
      desiredStateUpdater,
      observed,
      reconciler,
      descriptions,
      events,
      serviceDefaults: () => serviceDefaultTexts(settings.now.kubeIpvs),
    },
    lookup: { store, desired, descriptions },
    descriptions,
    syncLoop: composition.syncLoop,
    desired,
    view: desiredNodeState.paced,
    orphaned,
    packetRules,
    settings: () => settings.now,
    facts: kernelFacts(),
    observed,
    reconciler,
    changeLog: composition.changeLog,
  });
};

/** How often a path that was not available is tried again. */
const retryMilliseconds = 10_000;

/** Keeps the admin socket open. The daemon also works without it, and logs each reason once. */
class RestartingAdminSocket implements AsyncDisposable {
  readonly #queue = new SerialQueue();
  #socket: AdminSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #failure = new StateLog();
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
        this.#failure.end('');
        this.log.info({ event: 'admin-socket-listening', path: this.path }, 'Admin socket listening');
      } catch (error) {
        this.#reportFailure(messageOf(error), error instanceof AdminSocketError ? error.remedy : undefined);
        this.#timer = setTimeout(() => void this.open(), retryMilliseconds);
      }
    });
  }

  #reportFailure(error: string, remedy: string | undefined): void {
    this.#failure.begin('', error, () =>
      this.log.warn(
        { event: 'admin-socket-unavailable', error, ...(remedy !== undefined && { remedy }) },
        'Admin socket unavailable: kube-ipvs status, explain and dump show no Service names; retrying every 10 s',
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#queue.run(async () => this.#socket?.[Symbol.asyncDispose]());
  }
}

/** Serves the state of the daemon on the admin socket until the result is disposed. */
export const startAdmin = async (parts: AdminStartParts): Promise<AsyncDisposable> => {
  const { settings, log } = parts;
  const path = settings.now.adminSocket;
  if (path === '') return { [Symbol.asyncDispose]: async () => {} };
  const socket = new RestartingAdminSocket(path, handlerOf(parts), log);
  await socket.open();
  return socket;
};
