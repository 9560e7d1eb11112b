import type { IpAddress } from '../../base/ip.js';
import type { ChangeCause, FullRenderCause, RunCause, ServiceChange } from '../../model/change-cause.js';
import { operationIdentity, operationKey, type Operation } from '../../model/operation.js';
import type { ServiceKey } from '../../model/service.js';
import type { VirtualServerIdentity, VirtualServerKey } from '../../model/virtual-server.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { DirtyKeys } from '../../plan/operations/diff.js';
import { virtualServerOf } from '../../plan/packet-rules/packet-elements.js';

/** The Services that defined objects until lately: at most so many objects, the latest. */
const maximumFormerOwners = 2_000;

type Desired = Pick<
  DesiredState,
  'ownerOf' | 'claimantAt' | 'claimantOfElement' | 'formerEndpoints' | 'element'
>;

/** Whether the cause of a change in the run depends on what changed of its Service. */
export const dependsOnService = (run: RunCause): run is 'changes' | 'reread' =>
  run === 'changes' || run === 'reread';

/** Finds the Service of an object, and why an operation was done. Costs a few look-ups for an operation. */
export class ChangeCauses {
  #changed: ReadonlyMap<ServiceKey, ServiceChange> = new Map();
  #fullRender: FullRenderCause | undefined;
  #drifted: ReadonlySet<IpAddress> = new Set();
  /** By the key of an object that no Service defines any more; the latest come last. */
  readonly #formerOwners = new Map<string, ServiceKey>();
  /** Of the last operation: consecutive operations usually share their virtual server. */
  #last: { readonly identity: VirtualServerIdentity; readonly service: ServiceKey | undefined } | undefined;

  constructor(private readonly desired: Desired) {}

  /** The desired state is about to be updated; `fullRender`: every Service is rendered. */
  updateBegan(
    changed: ReadonlyMap<ServiceKey, ServiceChange>,
    fullRender: FullRenderCause | undefined,
  ): void {
    this.#last = undefined;
    this.#changed = changed;
    this.#fullRender = fullRender;
    this.#drifted = new Set();
  }

  /** The Service was rendered again, and defines or defined these objects. */
  rendered(service: ServiceKey, { virtualServers, addresses, elements }: DirtyKeys): void {
    const { desired } = this;
    for (const key of virtualServers)
      if (desired.ownerOf(key) === undefined) this.#addFormerOwner(key, service);
    for (const address of addresses)
      if (desired.claimantAt(address) === undefined) this.#addFormerOwner(address, service);
    for (const key of elements) if (desired.element(key) === undefined) this.#addFormerOwner(key, service);
  }

  #addFormerOwner(key: string, service: ServiceKey): void {
    this.#formerOwners.delete(key);
    this.#formerOwners.set(key, service);
    if (this.#formerOwners.size <= maximumFormerOwners) return;
    for (const oldest of this.#formerOwners.keys()) {
      this.#formerOwners.delete(oldest);
      return;
    }
  }

  /** VIPs that another program bound or unbound, and that this update repairs. */
  drifted(addresses: Iterable<IpAddress>): void {
    this.#drifted = new Set(addresses);
  }

  /** The changes of the last update are made. */
  runEnded(): void {
    this.#last = undefined;
    this.#changed = new Map();
    this.#fullRender = undefined;
    this.#drifted = new Set();
  }

  serviceOfVirtualServer(key: VirtualServerKey): ServiceKey | undefined {
    const { desired } = this;
    return (
      desired.ownerOf(key) ??
      desired.formerEndpoints.virtualServer(key)?.service ??
      this.#formerOwners.get(key)
    );
  }

  serviceOfAddress(address: IpAddress): ServiceKey | undefined {
    return this.desired.claimantAt(address) ?? this.#formerOwners.get(address);
  }

  /** Of a shared element, as of a VIP, one of the Services that define it. */
  serviceOfElement(key: ElementKey, element?: SetElement): ServiceKey | undefined {
    const virtualServer = element && virtualServerOf(element);
    return (
      this.desired.claimantOfElement(key) ??
      (virtualServer && this.serviceOfVirtualServer(virtualServer)) ??
      this.#formerOwners.get(key)
    );
  }

  serviceOf(operation: Operation): ServiceKey | undefined {
    if ('address' in operation) return this.serviceOfAddress(operation.address);
    if ('element' in operation) return this.serviceOfElement(operation.element.key, operation.element);
    const identity = operationIdentity(operation);
    if (this.#last?.identity !== identity)
      this.#last = { identity, service: this.serviceOfVirtualServer(operationKey(operation)) };
    return this.#last.service;
  }

  /** Why an object of this Service was changed in a run. */
  causeOf(service: ServiceKey | undefined, run: RunCause, operation?: Operation): ChangeCause {
    if (!dependsOnService(run)) return run;
    const change = service === undefined ? undefined : this.#changed.get(service);
    if (run === 'reread') return change ?? run;
    if (operation !== undefined && 'address' in operation && this.#drifted.has(operation.address))
      return 'drift';
    return change ?? this.#fullRender ?? 'follow-up';
  }
}
