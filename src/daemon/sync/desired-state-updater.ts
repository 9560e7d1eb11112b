import { Yielder } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import type { Family, IpAddress } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { FullRenderCause } from '../../model/change-cause.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { WeightBy } from '../../model/settings/weight-by.js';
import type { DesiredState } from '../../plan/desired-state.js';
import { endpointWeight, type EndpointWeight } from '../../plan/endpoints/endpoint-weight.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import type { Fragment, Problem } from '../../plan/render/fragment.js';
import { render } from '../../plan/render/render.js';
import { renderContext, type RenderContext, type RenderSettings } from '../../plan/render/render-context.js';
import { apiServerService, sameReservedAddresses } from '../../plan/render/reserved-addresses.js';
import {
  healthCheckAddresses,
  sameHealthCheck,
  type HealthCheckAddresses,
  type ServiceHealthCheck,
} from '../../plan/render/service-health-check.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';
import type { ChangeCauses } from '../history/change-causes.js';
import { problemEvent } from '../events/problem-events.js';
import type { EventRecorder, RecordedEvent } from '../events/event-recorder.js';

/** After a flood of changes every Service is rendered. */
const maximumBlockingMilliseconds = 5;

/** On machines with a slow clock, reading it costs as much as rendering a Service. */
const servicesPerClockCheck = 8;

export interface DesiredStateUpdaterParts {
  /** Is kept in step. */
  readonly desired: DesiredState;
  readonly store: ClusterStore;
  readonly settings: () => RenderSettings;
  readonly nodeFacts: () => NodeFacts;
  /** What the kernel holds and orphans keep: a change of settings or of the node may concern all of it. */
  readonly retainedKeys: () => DirtyKeys;
  /** Records the problems of Services. */
  readonly events: EventRecorder;
  /** Learns why objects change. */
  readonly causes?: Pick<ChangeCauses, 'updateBegan' | 'rendered'> | undefined;
  readonly log: Logger;
}

/** The desired health checks; undefined if the Service no longer has one. */
export type ChangedHealthChecks = ReadonlyMap<ServiceKey, ServiceHealthCheck | undefined>;

const textOf = (problem: Problem): string => `${problem.reason}: ${problem.message}`;

/** Keeps the desired state of this node in step with the store and the facts of the node, and reports each problem once. */
export class DesiredStateUpdater {
  readonly desired: DesiredState;
  readonly #clashes = new StateLog<VirtualServerKey>();
  #context: RenderContext | undefined;
  /** Why the next update renders every Service. */
  #fullRenderCause: FullRenderCause = 'start';
  #interfaceAddresses: RenderContext['interfaceAddresses'] = new Map();
  #changedHealthChecks = new Map<ServiceKey, ServiceHealthCheck | undefined>();

  constructor(private readonly parts: DesiredStateUpdaterParts) {
    this.desired = parts.desired;
  }

  /** Whether an interface of this node other than kube-ipvs0 has the address, as of the last update. */
  isOnInterface(address: IpAddress): boolean {
    return this.#interfaceAddresses.has(address);
  }

  /** The node's facts or the settings changed: everything is rendered again at the next `update`. */
  nodeChanged(cause: FullRenderCause = 'node-addresses-changed'): void {
    if (this.#context !== undefined) this.#fullRenderCause = cause;
    this.#context = undefined;
  }

  /** Renders what changed since the last call. Returns the keys that may have changed. */
  update(): DirtyKeys {
    const steps = this.#update();
    for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
  }

  /** The same, yielding to the event loop; later changes are for the next call. */
  async updateIncrementally(): Promise<DirtyKeys> {
    const yielder = new Yielder(maximumBlockingMilliseconds, servicesPerClockCheck);
    const steps = this.#update();
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done === true) return step.value;
      await yielder.yieldIfDue();
    }
  }

  /** Each step renders one Service. */
  *#update(): Generator<void, DirtyKeys> {
    const { store, settings, nodeFacts } = this.parts;
    if (store.takeNodeChanged()) this.nodeChanged('node-changed');
    const dirty = store.takeDirty();
    if (dirty.has(apiServerService) && this.#reservedChanged()) this.nodeChanged();
    const retainedKeys = this.#context === undefined ? this.parts.retainedKeys() : dirtyKeys();
    const isFull = this.#context === undefined;
    const keys = isFull ? new Set([...dirty.keys(), ...store.serviceKeys()]) : dirty.keys();
    this.parts.causes?.updateBegan(dirty, isFull ? this.#fullRenderCause : undefined);
    const context = (this.#context ??= renderContext(nodeFacts(), settings(), (pod) => store.pods.get(pod)));
    this.#interfaceAddresses = context.interfaceAddresses;
    const virtualServers = new Set(retainedKeys.virtualServers);
    const addresses = new Set(retainedKeys.addresses);
    const elements = new Set(retainedKeys.elements);
    for (const key of keys) {
      const before = this.desired.fragment(key);
      const fragment = this.#render(key, context);
      const changedKeys = this.desired.replace(key, fragment);
      if (before !== undefined) this.parts.causes?.rendered(key, changedKeys);
      for (const virtualServer of changedKeys.virtualServers) virtualServers.add(virtualServer);
      for (const address of changedKeys.addresses) addresses.add(address);
      for (const element of changedKeys.elements) elements.add(element);
      if (!sameHealthCheck(before?.healthCheck, fragment?.healthCheck))
        this.#changedHealthChecks.set(key, fragment?.healthCheck);
      this.#reportProblems(before?.problems ?? [], fragment?.problems ?? []);
      yield;
    }
    for (const key of virtualServers) this.#reportClashes(key);
    return { virtualServers, addresses, elements };
  }

  /** The facts of this node at the last rendering. */
  get node(): NodeFacts {
    return this.#context?.node ?? this.parts.nodeFacts();
  }

  /** Where the weights of the Service's endpoints come from. */
  weightBy(service: Service): WeightBy {
    return this.parts.store.pods.weightByOf(service);
  }

  /** The weight of an endpoint of the Service, and why; undefined where all weigh the same. */
  endpointWeight(service: Service, endpoint: Endpoint): EndpointWeight | undefined {
    const { store } = this.parts;
    const facts = { zone: this.node.zone, pod: store.pods.get.bind(store.pods) };
    return endpointWeight(this.weightBy(service), endpoint, service.namespace, facts);
  }

  /** The health checks that changed since the last call. */
  takeHealthChecks(): ChangedHealthChecks {
    const changed = this.#changedHealthChecks;
    this.#changedHealthChecks = new Map();
    return changed;
  }

  /** The addresses that serve health check ports, as of the last update. */
  healthCheckAddresses(family: Family): HealthCheckAddresses {
    const { node, settings } = this.#context ?? renderContext(this.parts.nodeFacts(), this.parts.settings());
    return healthCheckAddresses(family, node, settings.nodePortAddresses);
  }

  /** The Events of the problems that Services have now. */
  *problemEvents(): Iterable<RecordedEvent> {
    for (const fragment of this.desired.fragments())
      for (const problem of fragment.problems) yield this.#eventOf(problem);
    for (const clash of this.desired.clashes()) yield this.#eventOf(clash);
  }

  #eventOf(problem: Problem): RecordedEvent {
    return problemEvent(problem, this.parts.store.service(problem.service)?.uid);
  }

  #reservedChanged(): boolean {
    const before = this.#context?.node.reserved;
    return before !== undefined && !sameReservedAddresses(before, this.parts.nodeFacts().reserved);
  }

  /** A Service whose rendering throws keeps its previous state, and does not hold up other Services. */
  #render(key: ServiceKey, context: RenderContext): Fragment | undefined {
    const { store, log } = this.parts;
    const service = store.service(key);
    try {
      if (service === undefined) return undefined;
      return render(service, store.slicesOf(key), context, this.desired.fragment(key));
    } catch (error) {
      log.error(
        { event: 'rendering-failed', service: key, error: messageOf(error) },
        'Rendering a Service failed; its previous state stays',
      );
      return this.desired.fragment(key);
    }
  }

  #reportProblems(before: readonly Problem[], now: readonly Problem[]): void {
    if (now.length === 0) return;
    const known = new Set(before.map(textOf));
    for (const problem of now) if (!known.has(textOf(problem))) this.#warn(problem);
  }

  #reportClashes(key: VirtualServerKey): void {
    const clashes = this.desired.clashesAt(key);
    if (clashes.length === 0) return this.#clashes.end(key);
    this.#clashes.begin(key, clashes.map(textOf).join('\n'), () => {
      for (const clash of clashes) this.#warn(clash);
    });
  }

  #warn(problem: Problem): void {
    const { service, reason, message } = problem;
    this.parts.events.record(this.#eventOf(problem));
    this.parts.log.warn(
      { event: 'service-problem', service, reason, problem: message },
      'Service not fully served',
    );
  }
}
