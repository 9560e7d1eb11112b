import { messageOf } from '../../base/errors.js';
import { Yielder, yieldToEventLoop } from '../../base/async.js';
import type { PageDrain, PageLoad, PageProblem, PageSample } from '../../admin-api/page.js';
import type { StatusResponse } from '../../admin-api/responses.js';
import type { Drains } from '../../apply/drain/drains.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import { keyOfLine } from '../../kernel/ipvs/table-file/table-parser.js';
import { readTableFile, type TableFile } from '../../kernel/ipvs/table-file/table-file.js';
import type { Statistics, VirtualServerKey } from '../../model/virtual-server.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { VirtualServerDescriptions } from '../admin/virtual-server-descriptions.js';
import type { VirtualServerStatistics } from '../metrics/service-traffic.js';
import type { PageRows } from './page-rows.js';
import { intervalMilliseconds, type NodeSampler } from './page-sampler.js';

export interface NodeSamplerParts {
  readonly desired: DesiredState;
  readonly observed: Pick<EngineState, 'virtualServer'>;
  readonly drains: Pick<Drains, 'draining'>;
  readonly descriptions: Pick<VirtualServerDescriptions, 'entryOf' | 'allOrphaned'>;
  readonly status: () => StatusResponse;
  /** Reads the counters of all virtual servers with one dump. */
  readonly statistics: () => Promise<readonly VirtualServerStatistics[]>;
  readonly tableFile: TableFile;
  readonly close: () => void;
}

/** How long a sample may block the event loop. */
const maximumBlockingMilliseconds = 2;
const rowsPerClockCheck = 16;
const maximumItems = 100;

interface Connections {
  active: number;
  inactive: number;
}

/** Active and inactive connections by virtual server, from one read of the table file. */
const readConnections = async (tableFile: TableFile): Promise<ReadonlyMap<VirtualServerKey, Connections>> => {
  const found = new Map<VirtualServerKey, Connections>();
  const yielder = new Yielder(maximumBlockingMilliseconds);
  let current: Connections = { active: 0, inactive: 0 };
  await readTableFile(tableFile, {
    virtualServer: (line) => {
      current = { active: 0, inactive: 0 };
      if (line.protocol !== 'FWM') found.set(keyOfLine(line), current);
    },
    realServer: ({ activeConnections, inactiveConnections }) => {
      current.active += activeConnections;
      current.inactive += inactiveConnections;
    },
    afterPiece: () => yielder.yieldIfDue(),
  });
  return found;
};

const loadOf = (connections: Connections | undefined, statistics: Statistics): PageLoad => [
  connections?.active ?? -1,
  connections?.inactive ?? -1,
  Number(statistics.connectionsPerSecond),
  Number(statistics.inBytesPerSecond),
  Number(statistics.outBytesPerSecond),
  Number(statistics.inPacketsPerSecond),
  Number(statistics.outPacketsPerSecond),
];

/** Reads the node for the page. */
export class DaemonSampler implements NodeSampler {
  constructor(private readonly parts: NodeSamplerParts) {}

  async sample(rows: PageRows): Promise<PageSample> {
    await this.#describe(rows);
    const error = await this.#load(rows);
    await yieldToEventLoop();
    const status = this.parts.status();
    await yieldToEventLoop();
    return {
      at: Date.now(),
      intervalSeconds: intervalMilliseconds / 1_000,
      status,
      problems: await this.#problems(),
      drains: await this.#drains(),
      ...(error === undefined ? {} : { error }),
    };
  }

  [Symbol.dispose](): void {
    this.parts.close();
  }

  async #describe(rows: PageRows): Promise<void> {
    const { desired, descriptions } = this.parts;
    const yielder = new Yielder(maximumBlockingMilliseconds, rowsPerClockCheck);
    for (const { server } of desired.virtualServers()) {
      await yielder.yieldIfDue();
      this.#describeServer(server.key, rows);
    }
    for (const [key] of descriptions.allOrphaned()) {
      await yielder.yieldIfDue();
      this.#describeServer(key, rows);
    }
    rows.end();
  }

  #describeServer(key: VirtualServerKey, rows: PageRows): void {
    const { descriptions, observed, drains } = this.parts;
    const { service, port, frontend, lingering, contested } = descriptions.entryOf(key)?.own ?? {};
    const entry = observed.virtualServer(key);
    const foreign = contested === true ? ('contested' as const) : undefined;
    rows.describe({
      key,
      service,
      port: port && (port.name === '' ? String(port.port) : port.name),
      frontend,
      scheduler: entry?.server.scheduler,
      state: lingering === undefined ? foreign : 'orphaned',
      realServers: entry?.realServers.size ?? 0,
      draining: drains.draining.get(key)?.size ?? 0,
    });
  }

  /** Returns why the kernel could not be read. */
  async #load(rows: PageRows): Promise<string | undefined> {
    const { statistics, tableFile } = this.parts;
    try {
      const counters = await statistics();
      // A kernel without the table file still has rates.
      const connections = await readConnections(tableFile).catch(() => undefined);
      const yielder = new Yielder(maximumBlockingMilliseconds, rowsPerClockCheck);
      for (const { key, statistics: of } of counters) {
        await yielder.yieldIfDue();
        rows.load(key, loadOf(connections?.get(key), of));
      }
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  async #problems(): Promise<readonly PageProblem[]> {
    const { desired } = this.parts;
    const found: PageProblem[] = desired.clashes().slice(0, maximumItems);
    const yielder = new Yielder(maximumBlockingMilliseconds, rowsPerClockCheck);
    for (const { problems } of desired.fragments()) {
      await yielder.yieldIfDue();
      found.push(...problems);
      if (found.length >= maximumItems) break;
    }
    return found.slice(0, maximumItems).map(({ service, reason, message }) => ({ service, reason, message }));
  }

  async #drains(): Promise<readonly PageDrain[]> {
    const { drains, descriptions } = this.parts;
    const found: PageDrain[] = [];
    const yielder = new Yielder(maximumBlockingMilliseconds);
    for (const virtualServer of [...drains.draining.keys()].slice(0, maximumItems)) {
      const description = descriptions.entryOf(virtualServer);
      for (const [realServer, { pod, drain }] of description?.realServers ?? []) {
        await yielder.yieldIfDue();
        if (drain === undefined) continue;
        found.push({ virtualServer, realServer, service: description?.own.service, pod, ...drain });
        if (found.length === maximumItems) return found;
      }
    }
    return found;
  }
}
