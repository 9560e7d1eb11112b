import { defaultInstance } from '../../../src/model/instance-names.js';
import { IpvsClient } from '../../../src/kernel/ipvs/client.js';
import { NftablesClient } from '../../../src/kernel/nftables/client.js';
import type { NftablesChange } from '../../../src/kernel/nftables/changes.js';
import { RtnetlinkClient } from '../../../src/kernel/rtnetlink/client.js';
import type { AddressOperation, IpvsOperation } from '../../../src/model/operation.js';
import type { Connection } from '../../../src/netlink/connection.js';
import type { ProtocolName } from '../../../src/netlink/constants.js';

const isAboutAddress = (operation: IpvsOperation | AddressOperation): operation is AddressOperation =>
  'address' in operation;

/** Another program on the node, with separate sockets. An operation that the kernel refuses throws. */
export class OtherProgram implements Disposable {
  readonly ipvs: IpvsClient;
  readonly route: RtnetlinkClient;
  readonly nftables: NftablesClient;

  constructor(connect: (protocol: ProtocolName) => Connection) {
    this.ipvs = IpvsClient.open(connect('generic'));
    this.route = RtnetlinkClient.open(defaultInstance, connect('route'));
    this.nftables = NftablesClient.open(connect('netfilter'));
  }

  [Symbol.dispose](): void {
    for (const client of [this.ipvs, this.route, this.nftables]) client.close();
  }

  /** Of addresses: those of kube-ipvs0. */
  async apply(...operations: readonly (IpvsOperation | AddressOperation)[]): Promise<void> {
    for (const operation of operations) {
      const [outcome] = isAboutAddress(operation)
        ? await this.route.apply((await this.route.link(defaultInstance.dummyInterface))?.index ?? 0, [
            operation,
          ])
        : await this.ipvs.apply([operation]);
      if (outcome?.status !== 'applied') throw new Error(JSON.stringify(outcome));
    }
  }

  async changeRules(...changes: readonly NftablesChange[]): Promise<void> {
    const outcome = await this.nftables.transaction(changes);
    if (outcome.status !== 'applied') throw new Error(JSON.stringify(outcome));
  }
}
