import assert from 'node:assert/strict';
import type { IpAddress } from '../../src/base/ip.js';
import { formatOperation, operationTarget, type Operation } from '../../src/model/operation.js';
import {
  virtualServerKey,
  type RealServer,
  type RealServerKey,
  type RealServerObservation,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerTable,
} from '../../src/model/virtual-server.js';
import type { Observed, Touched } from '../../src/plan/diff.js';

interface MutableTable {
  server: VirtualServer;
  readonly realServers: Map<RealServerKey, RealServer>;
}

/** A kernel's IPVS table and the addresses of kube-ipvs0, in memory. An operation that the kernel would refuse fails the test. */
export class SimulatedKernel implements Observed {
  readonly #tables = new Map<VirtualServerKey, MutableTable>();
  readonly #addresses = new Set<IpAddress>();
  /** Active connections of real servers, by `VIRTUAL → REAL`; none where absent. */
  readonly connections = new Map<string, number>();
  /** Whether every real server has a connection where nothing else is said. */
  busy = false;
  /** Told of every operation before it is done. */
  beforeOperation: (operation: Operation) => void = () => {};

  virtualServer(key: VirtualServerKey): VirtualServerTable | undefined {
    return this.#tables.get(key);
  }

  hasAddress(address: IpAddress): boolean {
    return this.#addresses.has(address);
  }

  tables(): Iterable<VirtualServerTable> {
    return this.#tables.values();
  }

  addresses(): Iterable<IpAddress> {
    return this.#addresses;
  }

  keys(): Touched {
    return { virtualServers: new Set(this.#tables.keys()), addresses: new Set(this.#addresses) };
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
    if (operation.kind === 'bind-address' || operation.kind === 'unbind-address') {
      const { kind, address } = operation;
      if (this.#addresses.has(address) === (kind === 'bind-address')) refuse('the kernel would refuse');
      if (kind === 'bind-address') this.#addresses.add(address);
      else this.#addresses.delete(address);
      return;
    }
    const key = operationTarget(operation);
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
