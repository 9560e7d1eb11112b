import type { EndpointSlice } from '../../model/endpoint.js';
import { podKey, podNamespace, type Pod, type PodKey } from '../../model/pod.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { needsPods, weightByOf, type WeightBy } from '../../model/weight-by.js';
import { sameStructure } from './structural-equality.js';

/** The namespaces whose pods some Service asks for. */
export type PodDemand = 'all' | ReadonlySet<string>;

/** Beyond this, one watch of all pods costs the API server less than one of each namespace. */
const maximumNamespaces = 16;

export const isInDemand = (demand: PodDemand, namespace: string): boolean =>
  demand === 'all' || demand.has(namespace);

/** The pods that the weights of Services depend on, and the Services that have endpoints of them. Empty where no Service asks. */
export class PodStore {
  readonly #pods = new Map<PodKey, Pod>();
  /** Of the Services that ask; once for each endpoint of the pod. */
  readonly #services = new Map<PodKey, readonly ServiceKey[]>();
  /** How many Services of a namespace ask. */
  readonly #asking = new Map<string, number>();
  #isDemandNew = false;
  #onDemand: (demand: PodDemand) => void = () => {};

  /** `weightBy`: the weights of Services that choose none. */
  constructor(private readonly weightBy: () => WeightBy) {}

  /** Calls the listener when the demand may have changed, before the change counts as delivered. */
  onDemand(listener: (demand: PodDemand) => void): void {
    this.#onDemand = listener;
  }

  get demand(): PodDemand {
    return needsPods(this.weightBy()) || this.#asking.size > maximumNamespaces
      ? 'all'
      : new Set(this.#asking.keys());
  }

  /** Whether the weights of the Service depend on pods. */
  asks(service: Service | undefined): boolean {
    return service !== undefined && needsPods(weightByOf(service, this.weightBy()));
  }

  get(key: PodKey): Pod | undefined {
    return this.#pods.get(key);
  }

  get size(): number {
    return this.#pods.size;
  }

  keys(): Iterable<PodKey> {
    return this.#pods.keys();
  }

  /** A Service changed; `slices` are its EndpointSlices. */
  serviceChanged(
    before: Service | undefined,
    now: Service | undefined,
    slices: readonly EndpointSlice[],
  ): void {
    const [asked, asks] = [this.asks(before), this.asks(now)];
    if (asked === asks) return;
    this.#count((now ?? before)?.namespace ?? '', asks ? 1 : -1);
    for (const slice of slices) {
      if (asks) this.link(slice);
      else this.unlink(slice);
    }
  }

  /** The EndpointSlice of a Service that asks was added. */
  link({ service, endpoints }: EndpointSlice): void {
    for (const pod of podsOf(service, endpoints))
      this.#services.set(pod, [...(this.#services.get(pod) ?? []), service]);
  }

  /** The EndpointSlice of a Service that asks was removed. */
  unlink({ service, endpoints }: EndpointSlice): void {
    for (const pod of podsOf(service, endpoints)) {
      const services = this.#services.get(pod) ?? [];
      const left = services.toSpliced(services.indexOf(service), 1);
      if (left.length === 0) this.#services.delete(pod);
      else this.#services.set(pod, left);
    }
  }

  /** Returns the Services whose weights may change. */
  set(key: PodKey, pod: Pod | undefined): readonly ServiceKey[] {
    if (sameStructure(this.#pods.get(key), pod)) return [];
    if (pod === undefined) this.#pods.delete(key);
    else this.#pods.set(key, pod);
    return this.#services.get(key) ?? [];
  }

  /** Calls the listener if the demand changed since the last call. */
  announceDemand(): void {
    if (!this.#isDemandNew) return;
    this.#isDemandNew = false;
    this.#onDemand(this.demand);
  }

  /** Forgets the pods for which no Service asks. */
  forgetOthers(): void {
    const { demand } = this;
    for (const key of this.#pods.keys()) if (!isInDemand(demand, podNamespace(key))) this.#pods.delete(key);
  }

  /** The configuration changed: counts and links all Services again. */
  recount(services: Iterable<Service>, slicesOf: (key: ServiceKey) => readonly EndpointSlice[]): void {
    this.#services.clear();
    this.#asking.clear();
    this.#isDemandNew = true;
    for (const service of services) this.serviceChanged(undefined, service, slicesOf(service.key));
    this.announceDemand();
  }

  #count(namespace: string, change: 1 | -1): void {
    const count = (this.#asking.get(namespace) ?? 0) + change;
    if (count === 0) this.#asking.delete(namespace);
    else this.#asking.set(namespace, count);
    if (count === 0 || (count === 1 && change === 1)) this.#isDemandNew = true;
  }
}

function* podsOf(service: ServiceKey, endpoints: EndpointSlice['endpoints']): Iterable<PodKey> {
  const namespace = service.slice(0, service.indexOf('/'));
  for (const { pod } of endpoints) if (pod !== undefined) yield podKey(namespace, pod);
}
