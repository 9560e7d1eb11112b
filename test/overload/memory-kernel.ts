import type { KernelPorts } from '../../src/daemon/compose.js';
import type { IpAddress } from '../../src/base/ip.js';
import type { Operation, Outcome } from '../../src/model/operation.js';
import { FaultyKernel } from '../support/faulty-kernel.js';

/** What the daemon is wired to, in memory: for what the daemon itself costs, on a machine whose kernel has no IPVS. */
export interface MemoryKernel extends KernelPorts {
  /** By address of a virtual server, its real servers' addresses, sorted; those of weight 0 are not there. */
  table(): Readonly<Record<string, readonly string[]>>;
  /** Operations so far. */
  readonly operations: number;
}

export const memoryKernel = (): MemoryKernel => {
  const kernel = new FaultyKernel();
  const dummyIndex = 7;
  let operations = 0;
  /** What was asked would only hold memory. */
  const counted = async <O extends Operation>(
    asked: readonly O[],
    apply: (asked: readonly O[]) => Promise<readonly Outcome[]>,
  ): Promise<readonly Outcome[]> => {
    operations += asked.length;
    const outcomes = await apply(asked);
    kernel.operations.length = 0;
    return outcomes;
  };
  const reading = <T>(read: Promise<T>): Promise<T> => {
    kernel.read.length = 0;
    return read;
  };
  return {
    ipvs: {
      apply: (asked) => counted(asked, (all) => kernel.apply(all)),
      virtualServersIncrementally: () => reading(kernel.virtualServersIncrementally()),
      syncDaemons: async () => [],
      startSyncDaemon: async () => undefined,
      stopSyncDaemon: async () => undefined,
      refreshFamily: () => {},
      reloads: 0,
      setTimeouts: async () => {},
      virtualServer: (identity) => reading(kernel.virtualServer(identity)),
      realServers: (identity) => reading(kernel.realServers(identity)),
    },
    route: {
      link: async () => ({ index: dummyIndex, name: 'kube-ipvs0', kind: 'dummy' }),
      links: async () => [],
      createDummy: async () => ({ status: 'applied' }),
      addresses: async () =>
        [...kernel.addresses].map((address) => ({
          address,
          prefixLength: 32,
          interfaceIndex: dummyIndex,
          interfaceName: 'kube-ipvs0',
        })),
      gateways: async () => new Set<IpAddress>(),
      vipRoutes: async () => [...kernel.routes],
      localIpv6Addresses: async () => kernel.addresses,
      apply: (_, asked) => counted(asked, (all) => kernel.apply(all)),
    },
    nftables: {
      generation: async () => 1,
      table: async () => undefined,
      elements: async () => [],
      transaction: async () => ({ status: 'applied' }),
    },
    conntrack: { flows: async () => [], delete: async () => [] },
    packetFamilies: [],
    table: () =>
      Object.fromEntries(
        [...kernel.tables.values()].flatMap(({ server: { identity }, realServers }) =>
          identity.by === 'address'
            ? [
                [
                  identity.address,
                  [...realServers.values()]
                    .filter(({ weight }) => weight > 0)
                    .map(({ address }) => address)
                    .toSorted(),
                ] as const,
              ]
            : [],
        ),
      ),
    get operations() {
      return operations;
    },
  };
};
