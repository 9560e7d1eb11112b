import { type Operation, operationKey } from '../../src/model/operation.js';
import { formatOperation } from '../../src/model/plan-entry.js';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { NodeFacts } from '../../src/model/node.js';
import type { Service, ServiceKey } from '../../src/model/service.js';
import type { VirtualServerEntry } from '../../src/model/virtual-server.js';
import { DesiredState } from '../../src/plan/desired-state.js';
import { diff, dirtyKeys, union, type DirtyKeys } from '../../src/plan/operations/diff.js';
import { mergeDirtyKeys } from './dirty-keys.js';
import {
  defaultDrainSettings,
  drainStep,
  virtualServersWithDraining,
  type Draining,
  type DrainSettings,
} from '../../src/plan/drain/drain-step.js';
import { phaseOperations, phases } from '../../src/plan/operations/phases.js';
import {
  render,
  renderContext,
  type RenderContext,
  type RenderSettings,
} from '../../src/plan/render/render.js';
import { formatHostAddress, sortedRealServers } from '../../src/plan/output/ipvs-table-formats.js';
import { ip, nodeFacts, settings } from './objects.js';
import { OrphanIndex } from '../../src/apply/state/orphan-index.js';
import {
  orphanEnd,
  orphanKeys,
  orphanOf,
  type OrphanEnd,
  type OrphanFacts,
} from '../../src/plan/drain/orphan.js';
import { OrphanedVirtualServers } from '../../src/plan/drain/orphaned-virtual-servers.js';
import type { VirtualServerKey } from '../../src/model/virtual-server.js';
import { SimulatedKernel } from './simulated-kernel.js';

/** What a node is given at once. */
export interface ClusterObjects {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
}

const describe = ({ server, realServers }: VirtualServerEntry): string => {
  const shown = sortedRealServers({ server, realServers }).map(({ key, weight }) =>
    weight === 1 ? key : `${key} weight ${weight}`,
  );
  const scheduler = server.scheduler === 'rr' ? [] : [server.scheduler];
  const persistence = server.persistence === undefined ? [] : [`persistent ${server.persistence.seconds}`];
  return [
    server.key,
    ...scheduler,
    ...persistence,
    ...server.flags,
    '→',
    shown.length === 0 ? '—' : shown.join(', '),
  ].join(' ');
};

const isAboutRules = (operation: Operation): boolean => 'element' in operation;

const tableLines = (operations: readonly Operation[]): readonly string[] =>
  operations.filter((operation) => !isAboutRules(operation)).map(formatOperation);

/** The decisions of a node, wired as the daemon wires them, with a simulated kernel. */
export class SimulatedNode {
  readonly kernel = new SimulatedKernel();
  readonly desired = new DesiredState();
  readonly #orphans = new OrphanIndex();
  readonly #isOnInterface = (address: string): boolean => this.context.interfaceAddresses.has(ip(address));
  readonly lingering = new OrphanedVirtualServers({
    desired: this.desired,
    orphans: this.#orphans,
    isOnInterface: this.#isOnInterface,
  });
  readonly #facts: OrphanFacts = {
    services: this.desired,
    formerVirtualServer: (key) => this.desired.formerEndpoints.virtualServer(key),
    isOnInterface: this.#isOnInterface,
    observed: this.kernel,
  };
  context: RenderContext;
  draining: Draining = new Map();
  /** What the last change did to packet rules. */
  ruleLines: readonly string[] = [];
  #services = new Map<ServiceKey, Service>();
  #slices: readonly EndpointSlice[] = [];

  constructor(
    facts: NodeFacts = nodeFacts(),
    renderSettings: RenderSettings = settings(),
    readonly drainSettings: DrainSettings = defaultDrainSettings,
  ) {
    this.context = renderContext(facts, renderSettings);
  }

  #render(key: ServiceKey): DirtyKeys {
    const service = this.#services.get(key);
    const slices = this.#slices.filter((slice) => slice.service === key);
    return this.desired.replace(
      key,
      service === undefined ? undefined : render(service, slices, this.context),
    );
  }

  /** Takes the place of all objects; gives the lines of the operations on the table and addresses that were done. */
  replace(objects: ClusterObjects, now = 0): readonly string[] {
    const keys = new Set([...this.#services.keys(), ...objects.services.map(({ key }) => key)]);
    this.#services = new Map(objects.services.map((service) => [service.key, service]));
    this.#slices = objects.slices;
    return this.#sync(
      [...keys].map((key) => this.#render(key)),
      now,
    );
  }

  /** One Service and its slices change; undefined: it goes. */
  change(
    key: ServiceKey,
    service: Service | undefined,
    slices: readonly EndpointSlice[],
    now = 0,
  ): readonly string[] {
    if (service === undefined) this.#services.delete(key);
    else this.#services.set(key, service);
    this.#slices = [...this.#slices.filter((slice) => slice.service !== key), ...slices];
    return this.#sync([this.#render(key)], now);
  }

  /** Addresses of the node or settings change: everything is rendered again. */
  setContext(
    facts: NodeFacts,
    renderSettings: RenderSettings = this.context.settings,
    now = 0,
  ): readonly string[] {
    this.context = renderContext(facts, renderSettings);
    return this.#sync(
      [...[...this.#services.keys()].map((key) => this.#render(key)), this.lingering.keys()],
      now,
    );
  }

  /** Looks at everything, also at what the kernel holds besides. */
  resync(now = 0): readonly string[] {
    return this.#sync([this.desired.keys(), this.kernel.keys()], now);
  }

  #sync(touched: readonly DirtyKeys[], now: number): readonly string[] {
    const all = this.#settle(mergeDirtyKeys(touched));
    const operations = diff(this.lingering, this.kernel, all, this.drainSettings);
    const ordered = phases(operations, this.desired.urgency).flatMap(phaseOperations);
    this.kernel.apply(ordered);
    this.ruleLines = ordered.filter(isAboutRules).map(formatOperation);
    return [...tableLines(ordered), ...this.lookAtDraining(all.virtualServers, now)];
  }

  /** Those that are unwanted now linger if they have connections; the keys with those that are wanted otherwise by that. */
  #settle(touched: DirtyKeys): DirtyKeys {
    let all = union(touched, this.#release(touched.virtualServers, ['wanted-again', 'gone']));
    for (const key of touched.virtualServers) {
      const have =
        this.lingering.virtualServer(key) === undefined ? this.kernel.virtualServer(key) : undefined;
      const orphan = have && orphanOf(have, this.#facts, this.drainSettings);
      if (have === undefined || orphan === undefined) continue;
      if (!this.kernel.observe(have.server.identity).some(({ activeConnections }) => activeConnections > 0))
        continue;
      this.#orphans.replace(key, undefined, orphan);
      all = union(all, orphanKeys(orphan));
    }
    return all;
  }

  /** Ends orphans; gives what is wanted otherwise by that. */
  #release(keys: Iterable<VirtualServerKey>, reasons: readonly OrphanEnd[]): DirtyKeys {
    let changed = dirtyKeys();
    for (const key of keys) {
      const orphan = this.#orphans.get(key);
      const end = orphan && orphanEnd(orphan, this.#facts);
      if (orphan === undefined || end === undefined || !reasons.includes(end)) continue;
      this.#orphans.replace(key, orphan, undefined);
      changed = union(changed, orphanKeys(orphan));
    }
    return changed;
  }

  /** What the daemon does after each change with what it touched, and every minute with what is draining. */
  lookAtDraining(
    keys: DirtyKeys['virtualServers'] = new Set(this.draining.keys()),
    now = 0,
  ): readonly string[] {
    const tables = virtualServersWithDraining(keys, this.lingering, this.kernel, this.drainSettings);
    const step = drainStep({
      drainingOf: (key) => this.draining.get(key) ?? new Map(),
      unreadable: [],
      isOrphan: (key) => this.lingering.has(key),
      observations: new Map([
        ...[...keys].filter((key) => this.draining.has(key)).map((key) => [key, []] as const),
        ...tables.map(({ server }) => [server.key, this.kernel.observe(server.identity)] as const),
      ]),
      desired: this.lingering,
      now,
      settings: this.drainSettings,
      recordOf: () => undefined,
      endpointOf: (of, realServer) => this.desired.formerEndpoint(of, realServer),
      isNodeDeleted: () => false,
    });
    const draining = new Map(this.draining);
    for (const [key, servers] of step.stillDraining)
      if (servers.size === 0) draining.delete(key);
      else draining.set(key, servers);
    this.draining = draining;
    this.kernel.apply(step.delete);
    let ended = dirtyKeys({ virtualServers: new Set(step.delete.map(operationKey)) });
    ended = union(ended, this.#release(keys, ['idle']));
    const after = phases(diff(this.lingering, this.kernel, ended, this.drainSettings)).flatMap(
      phaseOperations,
    );
    this.kernel.apply(after);
    return [...step.delete.map(formatOperation), ...tableLines(after)];
  }

  /** The kernel's table, a line a virtual server, sorted: `TCP 10.0.0.1:80 persistent 600 → 10.1.0.1:80, 10.1.0.2:80 weight 0`. */
  get lines(): readonly string[] {
    return [...this.kernel.tables()].map(describe).toSorted();
  }

  get addresses(): readonly string[] {
    return [...this.kernel.addresses()].map(formatHostAddress).toSorted();
  }

  /** The elements of packet rules, sorted. */
  get elements(): readonly string[] {
    return [...this.kernel.elements()]
      .map(({ key, chain }) => (chain === undefined ? key : `${key} → ${chain}`))
      .toSorted();
  }

  get problems(): readonly string[] {
    return [...this.desired.fragments()]
      .flatMap(({ problems }) => problems)
      .concat(this.desired.clashes())
      .map(({ reason }) => reason);
  }
}
