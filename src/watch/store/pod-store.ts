import type { EndpointSlice } from '../../model/endpoint.js';
import { podKey, podNamespace, type Pod, type PodKey } from '../../model/pod.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { chosenWeightBy, needsPods, type WeightBy } from '../../model/settings/weight-by.js';
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
  /** The last valid choices of the Services whose annotation has a wrong value now. */
  readonly #lastValid = new Map<ServiceKey, WeightBy>();
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
    return service !== undefined && needsPods(this.weightByOf(service));
  }

  /** Where the weights of the Service's endpoints come from. Of a wrong annotation, the last valid value stays in force. */
  weightByOf(service: Service): WeightBy {
    return chosenWeightBy(service) ?? this.#lastValid.get(service.key) ?? this.weightBy();
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

  /** A Service changed; `slices` gives its EndpointSlices. */
  serviceChanged(
    before: Service | undefined,
    now: Service | undefined,
    slices: () => readonly EndpointSlice[],
  ): void {
    const asked = this.asks(before);
    this.#keepLastValid(before, now);
    const asks = this.asks(now);
    if (asked === asks) return;
    const service = now ?? before;
    if (service !== undefined) this.#ask(service, asks ? 1 : -1, slices());
  }

  #ask({ namespace }: Service, change: 1 | -1, slices: readonly EndpointSlice[]): void {
    this.#count(namespace, change);
    for (const slice of slices) {
      if (change === 1) this.link(slice);
      else this.unlink(slice);
    }
  }

  /** Nothing stays for a Service that was created anew under the same name. */
  #keepLastValid(before: Service | undefined, now: Service | undefined): void {
    const key = (now ?? before)?.key;
    if (key === undefined) return;
    const isWrong = now?.annotations['weight-by'] !== undefined && chosenWeightBy(now) === undefined;
    const last =
      isWrong && before !== undefined && before.createdAt === now.createdAt
        ? (chosenWeightBy(before) ?? this.#lastValid.get(key))
        : undefined;
    if (last === undefined) this.#lastValid.delete(key);
    else this.#lastValid.set(key, last);
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
    for (const service of services) if (this.asks(service)) this.#ask(service, 1, slicesOf(service.key));
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
