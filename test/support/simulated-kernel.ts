import assert from 'node:assert/strict';
import type { IpAddress } from '../../src/base/ip.js';
import { operationKey, type Operation } from '../../src/model/operation.js';
import { formatOperation } from '../../src/model/plan-entry.js';
import {
  virtualServerKey,
  type RealServer,
  type RealServerKey,
  type RealServerObservation,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerEntry,
} from '../../src/model/virtual-server.js';
import type { ElementKey, SetElement } from '../../src/nftables/declarations.js';
import { dirtyKeys, type ObservedView, type DirtyKeys } from '../../src/plan/operations/diff.js';

interface MutableTable {
  server: VirtualServer;
  readonly realServers: Map<RealServerKey, RealServer>;
}

/** A kernel's IPVS table and the addresses of kube-ipvs0, in memory. An operation that the kernel would refuse fails the test. */
export class SimulatedKernel implements ObservedView {
  readonly #tables = new Map<VirtualServerKey, MutableTable>();
  readonly #addresses = new Set<IpAddress>();
  readonly #elements = new Map<ElementKey, SetElement>();
  /** Active connections of real servers, by `VIRTUAL → REAL`; none where absent. */
  readonly connections = new Map<string, number>();
  /** Whether every real server has a connection where nothing else is said. */
  busy = false;
  /** Told of every operation before it is done. */
  beforeOperation: (operation: Operation) => void = () => {};

  virtualServer(key: VirtualServerKey): VirtualServerEntry | undefined {
    return this.#tables.get(key);
  }

  hasAddress(address: IpAddress): boolean {
    return this.#addresses.has(address);
  }

  element(key: ElementKey): SetElement | undefined {
    return this.#elements.get(key);
  }

  elements(): Iterable<SetElement> {
    return this.#elements.values();
  }

  tables(): Iterable<VirtualServerEntry> {
    return this.#tables.values();
  }

  addresses(): Iterable<IpAddress> {
    return this.#addresses;
  }

  keys(): DirtyKeys {
    return dirtyKeys({
      virtualServers: new Set(this.#tables.keys()),
      addresses: new Set(this.#addresses),
      elements: new Set(this.#elements.keys()),
    });
  }

  observe(of: VirtualServerIdentity): readonly RealServerObservation[] {
    const key = virtualServerKey(of);
    return [...(this.#tables.get(key)?.realServers.values() ?? [])].map((server) => ({
      ...server,
      activeConnections: this.connections.get(`${key} → ${server.key}`) ?? (this.busy ? 1 : 0),
      inactiveConnections: 0,
      persistentConnections: 0,
      statistics: undefined,
    }));
  }

  apply(operations: readonly Operation[]): void {
    for (const operation of operations) {
      this.beforeOperation(operation);
      this.#applyOne(operation);
    }
  }

  #applyOne(operation: Operation): void {
    const refuse = (why: string): never => assert.fail(`${formatOperation(operation)}: ${why}`);
    if ('element' in operation) {
      const { kind, element } = operation;
      if (this.#elements.has(element.key) === (kind === 'add-element')) refuse('EEXIST or ENOENT');
      if (kind === 'delete-element') this.#elements.delete(element.key);
      else this.#elements.set(element.key, element);
      return;
    }
    if ('address' in operation) {
      const { kind, address } = operation;
      if (this.#addresses.has(address) === (kind === 'bind-address')) refuse('the kernel would refuse');
      if (kind === 'bind-address') this.#addresses.add(address);
      else this.#addresses.delete(address);
      return;
    }
    const key = operationKey(operation);
    const table = this.#tables.get(key);
    if (operation.kind === 'add-virtual-server') {
      if (table !== undefined) refuse('EEXIST');
      this.#tables.set(key, { server: operation.server, realServers: new Map() });
      return;
    }
    if (table === undefined) return refuse('ESRCH: no such virtual server');
    if (operation.kind === 'update-virtual-server') table.server = operation.server;
    else if (operation.kind === 'delete-virtual-server') this.#tables.delete(key);
    else {
      const { server } = operation;
      if (table.realServers.has(server.key) === (operation.kind === 'add-real-server'))
        refuse('EEXIST or ENOENT');
      if (operation.kind === 'delete-real-server') table.realServers.delete(server.key);
      else table.realServers.set(server.key, server);
    }
  }
}
