import { families, type Family, type IpAddress } from '../../base/ip.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import {
  operationIdentity,
  type ElementOperation,
  type Operation,
  type Outcome,
} from '../../model/operation.js';
import {
  virtualServerKey,
  type RealServer,
  type RealServerKey,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { DirtyKeys } from '../../plan/operations/diff.js';

interface MirroredVirtualServer {
  server: VirtualServer;
  readonly realServers: Map<RealServerKey, RealServer>;
}

/**
 * What the kernel is known to hold. It changes only by what the kernel said: outcomes of operations, dumps and events.
 * Keys whose state is in doubt are untrusted until they have been read again.
 */
export class ObservedState {
  readonly #virtualServers = new Map<VirtualServerKey, MirroredVirtualServer>();
  readonly #addresses = new Set<IpAddress>();
  readonly #elements = new Map<ElementKey, SetElement>();
  #lastKey: { readonly identity: VirtualServerIdentity; readonly key: VirtualServerKey } | undefined;
  readonly #untrusted = new Map<VirtualServerKey, VirtualServerIdentity>();

  virtualServer(key: VirtualServerKey): Readonly<MirroredVirtualServer> | undefined {
    return this.#virtualServers.get(key);
  }

  virtualServerKeys(): Iterable<VirtualServerKey> {
    return this.#virtualServers.keys();
  }

  hasAddress(address: IpAddress): boolean {
    return this.#addresses.has(address);
  }

  addresses(): ReadonlySet<IpAddress> {
    return this.#addresses;
  }

  element(key: ElementKey): SetElement | undefined {
    return this.#elements.get(key);
  }

  *elementsOf(family: Family): Iterable<SetElement> {
    for (const element of this.#elements.values()) if (element.family === family) yield element;
  }

  elementKeys(): Iterable<ElementKey> {
    return this.#elements.keys();
  }

  /** Everything that is known to be there. */
  keys(): DirtyKeys {
    return {
      virtualServers: new Set(this.#virtualServers.keys()),
      addresses: new Set(this.#addresses),
      elements: new Set(this.#elements.keys()),
    };
  }

  /** How many things there are; looks at each virtual server. */
  sizes(): Readonly<Record<'virtualServers' | 'realServers' | 'addresses' | 'elements', number>> {
    let realServers = 0;
    for (const mirrored of this.#virtualServers.values()) realServers += mirrored.realServers.size;
    const { size: virtualServers } = this.#virtualServers;
    return { virtualServers, realServers, addresses: this.#addresses.size, elements: this.#elements.size };
  }

  /** Takes over what was read of our tables of these families; gives the keys of what is not as it was known. */
  setElements(
    elements: Iterable<SetElement>,
    readFamilies: readonly Family[] = families,
  ): ReadonlySet<ElementKey> {
    const before = new Map(this.#elements);
    const changed = new Set<ElementKey>();
    for (const [key, { family }] of before) if (readFamilies.includes(family)) this.#elements.delete(key);
    for (const element of elements) {
      this.#elements.set(element.key, element);
      if (!before.has(element.key)) changed.add(element.key);
    }
    for (const key of before.keys()) if (!this.#elements.has(key)) changed.add(key);
    return changed;
  }

  /** The virtual servers to read again; empties the list. */
  takeUntrusted(): readonly VirtualServerIdentity[] {
    const identities = [...this.#untrusted.values()];
    this.#untrusted.clear();
    return identities;
  }

  invalidate(identity: VirtualServerIdentity): void {
    this.#untrusted.set(virtualServerKey(identity), identity);
  }

  /** Takes over what a dump says of one virtual server; undefined: the kernel has none of that key. */
  setVirtualServer(
    key: VirtualServerKey,
    entry: { readonly server: VirtualServer; readonly realServers: Iterable<RealServer> } | undefined,
  ): void {
    if (entry === undefined) {
      this.#virtualServers.delete(key);
      return;
    }
    const realServers = new Map([...entry.realServers].map((server) => [server.key, server]));
    this.#virtualServers.set(key, { server: entry.server, realServers });
  }

  setAddresses(addresses: Iterable<IpAddress>): void {
    this.#addresses.clear();
    for (const address of addresses) this.#addresses.add(address);
  }

  setAddress(address: IpAddress, present: boolean): void {
    if (present) this.#addresses.add(address);
    else this.#addresses.delete(address);
  }

  /** Records what became of an operation. Anything but `applied` leaves an IPVS key untrusted. */
  record(operation: Operation, outcome: Outcome): void {
    if ('element' in operation) return this.#recordElement(operation, outcome);
    if ('address' in operation) {
      if (outcome.status === 'applied') this.setAddress(operation.address, operation.kind === 'bind-address');
      return;
    }
    if (outcome.status !== 'applied') {
      this.invalidate(operationIdentity(operation));
      return;
    }
    switch (operation.kind) {
      case 'add-virtual-server':
        this.#virtualServers.set(operation.server.key, { server: operation.server, realServers: new Map() });
        return;
      case 'update-virtual-server': {
        const mirrored = this.#virtualServers.get(operation.server.key);
        if (mirrored !== undefined) mirrored.server = operation.server;
        return;
      }
      case 'delete-virtual-server':
        this.#virtualServers.delete(virtualServerKey(operation.server));
        return;
      case 'add-real-server':
      case 'update-real-server':
        this.#mirrored(operation.of)?.realServers.set(operation.server.key, operation.server);
        return;
      case 'delete-real-server':
        this.#mirrored(operation.of)?.realServers.delete(operation.server.key);
        return;
    }
  }

  #recordElement({ kind, element }: ElementOperation, outcome: Outcome): void {
    if (outcome.status !== 'applied') return;
    if (kind === 'delete-element') this.#elements.delete(element.key);
    else this.#elements.set(element.key, element);
  }

  /** Operations on real servers come in runs on one virtual server: its key is put together once for the run. */
  #mirrored(identity: VirtualServerIdentity): MirroredVirtualServer | undefined {
    if (this.#lastKey?.identity !== identity) this.#lastKey = { identity, key: virtualServerKey(identity) };
    return this.#virtualServers.get(this.#lastKey.key);
  }
}
