import { defaultInstance } from '../../src/model/instance-names.js';
import { families } from '../../src/base/ip.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import { elementLine, virtualServerLines } from './desired-kernel.js';

/** Sockets of the test's own, beside those of the daemon. */
export class KernelLines implements Disposable {
  readonly ipvs = IpvsClient.open();
  readonly route = RtnetlinkClient.open(defaultInstance);
  readonly nftables = NftablesClient.open();

  /** The IPVS table, the addresses on kube-ipvs0 and the elements of our packet rules, a line each, sorted. */
  async lines(): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const server of await this.ipvs.virtualServers()) {
      const realServers = await this.ipvs.realServers(server.identity);
      lines.push(
        ...virtualServerLines({ server, realServers: new Map(realServers.map((real) => [real.key, real])) }),
      );
    }
    const dummy = await this.route.link(defaultInstance.dummyInterface);
    for (const { interfaceIndex, address } of await this.route.addresses())
      if (interfaceIndex === dummy?.index) lines.push(address);
    for (const family of families)
      for (const set of (await this.nftables.table(family, defaultInstance.table))?.sets ?? [])
        lines.push(...(await this.nftables.elements(family, defaultInstance.table, set)).map(elementLine));
    return lines.toSorted();
  }

  [Symbol.dispose](): void {
    this.ipvs.close();
    this.route.close();
    this.nftables.close();
  }
}
