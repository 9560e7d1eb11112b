import { families } from '../../src/base/ip.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import { dummyInterfaceName } from '../../src/model/node.js';
import { tableName } from '../../src/nftables/declarations.js';
import type { RealServer, VirtualServer } from '../../src/model/virtual-server.js';
import type { SimulatedNode } from './simulated-node.js';

const virtualLine = ({ key, scheduler, persistence, flags }: VirtualServer): string =>
  [key, scheduler, persistence?.seconds ?? '-', ...flags].join(' ');

const realLine = ({ key }: VirtualServer, real: RealServer): string => `${key} → ${real.key} ${real.weight}`;

/** Sockets of the test's own, beside those of the daemon. */
export class KernelLines implements Disposable {
  readonly ipvs = IpvsClient.open();
  readonly route = RtnetlinkClient.open();
  readonly nftables = NftablesClient.open();

  /** The IPVS table, the addresses on kube-ipvs0 and the elements of our packet rules, a line each, sorted. */
  async lines(): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const server of await this.ipvs.virtualServers()) {
      lines.push(virtualLine(server));
      for (const real of await this.ipvs.realServers(server.identity)) lines.push(realLine(server, real));
    }
    const dummy = await this.route.link(dummyInterfaceName);
    for (const { interfaceIndex, address } of await this.route.addresses())
      if (interfaceIndex === dummy?.index) lines.push(address);
    for (const family of families)
      for (const set of (await this.nftables.table(family, tableName))?.sets ?? [])
        for (const { fields, chain } of await this.nftables.elements(family, tableName, set))
          lines.push(`${set.name} ${fields.join(' . ')} ${chain ?? ''}`);
    return lines.toSorted();
  }

  [Symbol.dispose](): void {
    this.ipvs.close();
    this.route.close();
    this.nftables.close();
  }
}

/** The same of a simulated node. */
export const simulatedKernelLines = ({ kernel }: SimulatedNode): readonly string[] => {
  const lines: string[] = [...kernel.addresses()];
  for (const { server, realServers } of kernel.tables()) {
    lines.push(virtualLine(server));
    for (const real of realServers.values()) lines.push(realLine(server, real));
  }
  for (const { set, fields, chain } of kernel.elements())
    lines.push(`${set} ${fields.join(' . ')} ${chain ?? ''}`);
  return lines.toSorted();
};
