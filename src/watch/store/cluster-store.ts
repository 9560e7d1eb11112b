import type { EndpointSlice, EndpointSliceKey } from '../../model/endpoint.js';
import { mergeServiceChanges, type ServiceChange } from '../../model/change-cause.js';
import type { Node } from '../../model/node.js';
import { podNamespace, type Pod, type PodKey } from '../../model/pod.js';
import type { Service, ServiceKey } from '../../model/service.js';
import type { WeightBy } from '../../model/settings/weight-by.js';
import { losesEndpoint } from './endpoint-loss.js';
import { isInDemand, PodStore, type PodDemand } from './pod-store.js';
import { sameSlice, sameStructure, withKnownEndpoints } from './structural-equality.js';

/** The present state of one object; an undefined value: it was deleted, or kube-ipvs does not serve it. */
export type ObjectChange =
  | { readonly kind: 'service'; readonly key: ServiceKey; readonly value: Service | undefined }
  | {
      readonly kind: 'endpointSlice';
      readonly key: EndpointSliceKey;
      readonly value: EndpointSlice | undefined;
    }
  | { readonly kind: 'node'; readonly value: Node | undefined }
  | { readonly kind: 'pod'; readonly key: PodKey; readonly value: Pod | undefined };

/** A complete cluster, from a source that reads everything at once. */
export interface ClusterState {
  readonly services: ReadonlyMap<ServiceKey, Service>;
  readonly endpointSlices: ReadonlyMap<EndpointSliceKey, EndpointSlice>;
  readonly node: Node | undefined;
  readonly pods?: ReadonlyMap<PodKey, Pod>;
}

/** Details of a change. */
export interface StoreChange {
  /** An endpoint that may get new connections gets fewer from now on. */
  readonly losesEndpoint: boolean;
}

/** Called for each added, changed or deleted object. Its methods must be cheap and must not throw. */
export interface StoreObserver {
  /** `changed`: the object differs from the last one. */
  service(key: ServiceKey, changed: boolean): void;
  /** For a deleted slice, its last state. */
  endpointSlice(slice: EndpointSlice, change: 'none' | 'changed' | 'gone'): void;
}

const serviceChange = (before: Service | undefined, now: Service | undefined): ServiceChange => {
  if (now === undefined) return 'service-deleted';
  return before === undefined ? 'service-added' : 'service-changed';
};
/** What the store waits for before it is synced. */
type Awaited = 'services' | 'endpointSlices' | 'node' | 'pods';

const noSlices: readonly EndpointSlice[] = [];
const noPods: ReadonlyMap<PodKey, Pod> = new Map();

/**
 * The known state of the cluster, and the Services that changed since the last `takeDirty`. Every method leaves it consistent.
 * Objects that come again with the same content change nothing.
 */
export class ClusterStore {
  readonly #services = new Map<ServiceKey, Service>();
  readonly #slices = new Map<EndpointSliceKey, EndpointSlice>();
  /** Sorted by key. Most Services have one slice: an array takes a quarter of the memory of a Map. */
  readonly #slicesByService = new Map<ServiceKey, readonly EndpointSlice[]>();
  readonly #awaited = new Set<Awaited>(['services', 'endpointSlices']);
  readonly #onDirty: (change: StoreChange) => void;
  readonly pods: PodStore;
  /** The host of the API server; undefined for manifests. */
  apiServerHost: string | undefined;
  #node: Node | undefined;
  #nodeChanged = false;
  #dirty = new Map<ServiceKey, ServiceChange>();
  #revision = 0;
  #losesEndpoint = false;

  /**
   * `onDirty` is called at most once per `apply` or `replace` that changed something or made the store synced. `weightBy`: the
   * weights of Services that choose none.
   */
  constructor(
    onDirty: (change: StoreChange) => void,
    private readonly observer?: StoreObserver,
    weightBy: () => WeightBy = () => 'none',
  ) {
    this.#onDirty = onDirty;
    this.pods = new PodStore(weightBy);
  }

  /** Applies all changes, then calls `onDirty` once. */
  apply(changes: readonly ObjectChange[]): void {
    this.#notifyAfter(() => {
      for (const change of changes) this.#applyOne(change);
      this.pods.announceDemand();
    });
  }

  /** Replaces all objects of a kind, which then counts as delivered. */
  replace(kind: 'services', objects: ReadonlyMap<ServiceKey, Service>): void;
  replace(kind: 'endpointSlices', objects: ReadonlyMap<EndpointSliceKey, EndpointSlice>): void;
  replace(
    ...[kind, objects]:
      | [kind: 'services', objects: ReadonlyMap<ServiceKey, Service>]
      | [kind: 'endpointSlices', objects: ReadonlyMap<EndpointSliceKey, EndpointSlice>]
  ): void {
    this.#notifyAfter(() => {
      if (kind === 'services') this.#replaceServices(objects);
      else this.#replaceSlices(objects);
    });
  }

  /** Replaces the pods of the namespaces. */
  replacePods(of: PodDemand, objects: ReadonlyMap<PodKey, Pod>): void {
    this.#notifyAfter(() => this.#replacePods(of, objects));
  }

  /**
   * Makes the store wait for the Node too before it is synced, because topology depends on it, or for the pods, because weights
   * do. No effect once it is synced.
   */
  waitFor(kind: 'node' | 'pods'): void {
    if (!this.synced) this.#awaited.add(kind);
  }

  /** The Node or the pods are known, or the time to wait for them is over. */
  markDelivered(kind: 'node' | 'pods'): void {
    this.#notifyAfter(() => this.#markDelivered(kind));
  }

  /** The configured weights changed. */
  recountPods(): void {
    this.pods.recount(this.#services.values(), (key) => this.slicesOf(key));
  }

  /** Replaces everything in one step; everything then counts as delivered. */
  replaceAll(state: ClusterState): void {
    this.#notifyAfter(() => {
      this.#replacePods('all', state.pods ?? noPods);
      this.#replaceServices(state.services);
      this.#replaceSlices(state.endpointSlices);
      this.#setNode(state.node);
      this.#markDelivered('node');
    });
  }

  /** Whether everything has been delivered completely once: before that nothing may be deleted from the kernel. */
  get synced(): boolean {
    return this.#awaited.size === 0;
  }

  /** Returns and clears the Services, including deleted ones, whose rendering may have changed since the last call, and what changed. */
  takeDirty(): ReadonlyMap<ServiceKey, ServiceChange> {
    const dirty = this.#dirty;
    this.#dirty = new Map();
    return dirty;
  }

  /** Returns and clears whether the used fields of the Node have changed since the last call. */
  takeNodeChanged(): boolean {
    const changed = this.#nodeChanged;
    this.#nodeChanged = false;
    return changed;
  }

  service(key: ServiceKey): Service | undefined {
    return this.#services.get(key);
  }

  endpointSlice(key: EndpointSliceKey): EndpointSlice | undefined {
    return this.#slices.get(key);
  }

  /** The EndpointSlices that name this Service, sorted by their keys so that equal states render equally. */
  slicesOf(key: ServiceKey): readonly EndpointSlice[] {
    return this.#slicesByService.get(key) ?? noSlices;
  }

  serviceKeys(): Iterable<ServiceKey> {
    return this.#services.keys();
  }

  endpointSliceKeys(): Iterable<EndpointSliceKey> {
    return this.#slices.keys();
  }

  get node(): Node | undefined {
    return this.#node;
  }

  #notifyAfter(change: () => void): void {
    const before = this.#revision;
    this.#losesEndpoint = false;
    change();
    if (this.#revision !== before) this.#onDirty({ losesEndpoint: this.#losesEndpoint });
  }

  #applyOne(change: ObjectChange): void {
    switch (change.kind) {
      case 'service':
        return this.#setService(change.key, change.value);
      case 'endpointSlice':
        return this.#setSlice(change.key, change.value);
      case 'node':
        return this.#setNode(change.value);
      case 'pod':
        return this.#setPod(change.key, change.value);
    }
  }

  #replaceServices(objects: ReadonlyMap<ServiceKey, Service>): void {
    for (const key of this.#services.keys()) if (!objects.has(key)) this.#setService(key, undefined);
    for (const [key, service] of objects) this.#setService(key, service);
    this.pods.announceDemand();
    this.#markDelivered('services');
  }

  #replaceSlices(objects: ReadonlyMap<EndpointSliceKey, EndpointSlice>): void {
    for (const key of this.#slices.keys()) if (!objects.has(key)) this.#setSlice(key, undefined);
    for (const [key, slice] of objects) this.#setSlice(key, slice);
    this.#markDelivered('endpointSlices');
  }

  #replacePods(of: PodDemand, objects: ReadonlyMap<PodKey, Pod>): void {
    for (const key of this.pods.keys())
      if (isInDemand(of, podNamespace(key)) && !objects.has(key)) this.#setPod(key, undefined);
    for (const [key, pod] of objects) this.#setPod(key, pod);
  }

  #markDelivered(kind: Awaited): void {
    const before = this.synced;
    this.#awaited.delete(kind);
    if (this.synced !== before) this.#revision += 1;
  }

  #setService(key: ServiceKey, service: Service | undefined): void {
    const before = this.#services.get(key);
    const changed = !sameStructure(before, service);
    if (before !== undefined || service !== undefined) this.observer?.service(key, changed);
    if (!changed) return;
    if (service === undefined) this.#services.delete(key);
    else this.#services.set(key, service);
    this.pods.serviceChanged(before, service, () => this.slicesOf(key));
    this.#markDirty(key, serviceChange(before, service));
  }

  #setPod(key: PodKey, pod: Pod | undefined): void {
    for (const service of this.pods.set(key, pod)) this.#markDirty(service, 'endpoints-changed');
  }

  #setSlice(key: EndpointSliceKey, slice: EndpointSlice | undefined): void {
    const before = this.#slices.get(key);
    const changed = !sameSlice(before, slice);
    if (slice !== undefined) this.observer?.endpointSlice(slice, changed ? 'changed' : 'none');
    else if (before !== undefined) this.observer?.endpointSlice(before, 'gone');
    if (!changed) return;
    this.#losesEndpoint ||= losesEndpoint(before, slice);
    if (before !== undefined) this.#unlink(before);
    if (slice === undefined) this.#slices.delete(key);
    else this.#link(before === undefined ? slice : withKnownEndpoints(slice, before));
  }

  #link(slice: EndpointSlice): void {
    this.#slices.set(slice.key, slice);
    const siblings = [...this.slicesOf(slice.service), slice];
    this.#slicesByService.set(
      slice.service,
      siblings.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    );
    if (this.pods.asks(this.#services.get(slice.service))) this.pods.link(slice);
    this.#markDirty(slice.service, 'endpoints-changed');
  }

  #unlink(slice: EndpointSlice): void {
    const siblings = this.slicesOf(slice.service).filter(({ key }) => key !== slice.key);
    if (siblings.length === 0) this.#slicesByService.delete(slice.service);
    else this.#slicesByService.set(slice.service, siblings);
    if (this.pods.asks(this.#services.get(slice.service))) this.pods.unlink(slice);
    this.#markDirty(slice.service, 'endpoints-changed');
  }

  #setNode(node: Node | undefined): void {
    const before = this.#node;
    if (sameStructure(before, node)) return;
    this.#node = node;
    // A change of isBeingRemoved affects no Service.
    const { isBeingRemoved } = node ?? {};
    if (before !== undefined && sameStructure({ ...before, isBeingRemoved }, node)) return;
    this.#nodeChanged = true;
    this.#revision += 1;
  }

  #markDirty(key: ServiceKey, change: ServiceChange): void {
    this.#dirty.set(key, mergeServiceChanges(this.#dirty.get(key), change));
    this.#revision += 1;
  }
}
