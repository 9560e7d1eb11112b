import type { IpAddress } from '../../src/base/ip.js';
import {
  operationKey,
  type AddressOperation,
  type ElementOperation,
  type IpvsOperation,
  type Operation,
  type Outcome,
} from '../../src/model/operation.js';
import { formatOperation } from '../../src/model/plan-entry.js';
import {
  virtualServerKey,
  type RealServer,
  type RealServerKey,
  type RealServerObservation,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerObservation,
} from '../../src/model/virtual-server.js';

const applied: Outcome = { status: 'applied' };
export const failed = (errno: string): Outcome => ({ status: 'failed', errno, message: errno });
export const unknown: Outcome = { status: 'unknown' };

interface Table {
  server: VirtualServer;
  readonly realServers: Map<RealServerKey, RealServer>;
}

/**
 * A kernel in memory that answers with the errno names of the real one, and with whatever `fault` says instead; an
 * `unknown` answer is given after the operation was done. For the logic of retries alone: what the real kernel does is
 * proven in test/kernel.
 */
export class FaultyKernel {
  readonly tables = new Map<VirtualServerKey, Table>();
  readonly addresses = new Set<IpAddress>();
  readonly routes = new Set<IpAddress>();
  /** Every operation that was asked for, one line each. */
  readonly operations: string[] = [];
  readonly packetRuleOperations: string[] = [];
  readonly read: string[] = [];
  /** Active connections by real server. */
  readonly connections = new Map<RealServerKey, number>();
  /** What a dump of all virtual servers does not have. */
  readonly missingFromDumps = new Set<VirtualServerKey>();
  /** After so many batches of IPVS and addresses the socket breaks, once the batch was performed; it holds again after that. */
  breaksAfter = 0;
  fault: (operation: Operation) => Outcome | undefined = () => undefined;

  async apply(
    operations: readonly (IpvsOperation | AddressOperation)[],
    onSend: () => void = () => {},
  ): Promise<readonly Outcome[]> {
    onSend();
    const outcomes = operations.map((operation) => {
      this.operations.push(formatOperation(operation));
      const fault = this.fault(operation);
      if (fault?.status === 'failed') return fault;
      const outcome = this.#perform(operation);
      return fault ?? outcome;
    });
    if (this.breaksAfter > 0 && (this.breaksAfter -= 1) === 0) throw new Error('the socket broke');
    return outcomes;
  }

  /** Packet rules: every operation on them succeeds unless `fault` says otherwise. */
  readonly packetRules = {
    apply: async (operations: readonly ElementOperation[]): Promise<readonly Outcome[]> =>
      operations.map((operation) => {
        this.packetRuleOperations.push(formatOperation(operation));
        return this.fault(operation) ?? applied;
      }),
  };

  async virtualServersIncrementally(): Promise<readonly VirtualServerObservation[]> {
    this.read.push('all');
    const found = [...this.tables.values()].filter(({ server }) => !this.missingFromDumps.has(server.key));
    return found.map(({ server }) => ({ ...server, statistics: undefined }));
  }

  async virtualServer(identity: VirtualServerIdentity): Promise<VirtualServerObservation | undefined> {
    const server = this.tables.get(virtualServerKey(identity))?.server;
    this.read.push(virtualServerKey(identity));
    return server && { ...server, statistics: undefined };
  }

  async realServers(of: VirtualServerIdentity): Promise<readonly RealServerObservation[]> {
    this.read.push(`${virtualServerKey(of)} real servers`);
    return [...(this.tables.get(virtualServerKey(of))?.realServers.values() ?? [])].map((server) => ({
      ...server,
      activeConnections: this.connections.get(server.key) ?? 0,
      inactiveConnections: 0,
      persistentConnections: 0,
      statistics: undefined,
    }));
  }

  #perform(operation: IpvsOperation | AddressOperation): Outcome {
    if ('address' in operation) return this.#address(operation);
    const key = operationKey(operation);
    const table = this.tables.get(key);
    if (operation.kind === 'add-virtual-server') {
      if (table !== undefined) return failed('EEXIST');
      this.tables.set(key, { server: operation.server, realServers: new Map() });
      return applied;
    }
    if (table === undefined) return failed('ESRCH');
    switch (operation.kind) {
      case 'update-virtual-server':
        table.server = operation.server;
        return applied;
      case 'delete-virtual-server':
        this.tables.delete(key);
        return applied;
      case 'add-real-server':
        if (table.realServers.has(operation.server.key)) return failed('EEXIST');
        break;
      case 'update-real-server':
      case 'delete-real-server':
        if (!table.realServers.has(operation.server.key)) return failed('ENOENT');
        break;
    }
    if (operation.kind === 'delete-real-server') table.realServers.delete(operation.server.key);
    else table.realServers.set(operation.server.key, operation.server);
    return applied;
  }

  #address({ kind, address, binding }: AddressOperation): Outcome {
    const bound = binding === 'address' ? this.addresses : this.routes;
    const present = bound.has(address);
    if (kind === 'bind-address') {
      bound.add(address);
      return present ? failed('EEXIST') : applied;
    }
    bound.delete(address);
    if (present) return applied;
    return failed(binding === 'address' ? 'EADDRNOTAVAIL' : 'ESRCH');
  }
}
