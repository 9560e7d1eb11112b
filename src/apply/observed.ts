import type { IpAddress } from '../base/ip.js';
import { type IpvsOperation, type Operation, type Outcome } from '../model/operation.js';
import {
  virtualServerKey,
  type RealServer,
  type RealServerKey,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';

interface MirroredVirtualServer {
  server: VirtualServer;
  readonly realServers: Map<RealServerKey, RealServer>;
}

const identityOf = (operation: IpvsOperation): VirtualServerIdentity => {
  if ('of' in operation) return operation.of;
  return operation.kind === 'delete-virtual-server' ? operation.server : operation.server.identity;
};

/**
 * What the kernel is known to hold. It changes only by what the kernel said: outcomes of operations, dumps and events.
 * Keys whose state is in doubt are untrusted until they have been read again.
 */
export class Observed {
  readonly #virtualServers = new Map<VirtualServerKey, MirroredVirtualServer>();
  readonly #addresses = new Set<IpAddress>();
  #run: { readonly identity: VirtualServerIdentity; readonly key: VirtualServerKey } | undefined;
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

  /** The virtual servers to read again; empties the list. */
  takeUntrusted(): readonly VirtualServerIdentity[] {
    const identities = [...this.#untrusted.values()];
    this.#untrusted.clear();
    return identities;
  }

  distrust(identity: VirtualServerIdentity): void {
    this.#untrusted.set(virtualServerKey(identity), identity);
  }

  /** Takes over what a dump says of one virtual server; undefined: the kernel has none of that key. */
  setVirtualServer(
    key: VirtualServerKey,
    table: { readonly server: VirtualServer; readonly realServers: Iterable<RealServer> } | undefined,
  ): void {
    if (table === undefined) {
      this.#virtualServers.delete(key);
      return;
    }
    const realServers = new Map([...table.realServers].map((server) => [server.key, server]));
    this.#virtualServers.set(key, { server: table.server, realServers });
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
    if (operation.kind === 'bind-address' || operation.kind === 'unbind-address') {
      if (outcome.status === 'applied') this.setAddress(operation.address, operation.kind === 'bind-address');
      return;
    }
    if (outcome.status !== 'applied') {
      this.distrust(identityOf(operation));
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

  /** Operations on real servers come in runs on one virtual server: its key is put together once for the run. */
  #mirrored(identity: VirtualServerIdentity): MirroredVirtualServer | undefined {
    if (this.#run?.identity !== identity) this.#run = { identity, key: virtualServerKey(identity) };
    return this.#virtualServers.get(this.#run.key);
  }
}
