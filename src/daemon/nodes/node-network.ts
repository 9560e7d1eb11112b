import { NodeAddresses } from '../../apply/addresses/node-addresses.js';
import { sameElements } from '../../base/collections/same-elements.js';
import type { IpAddress } from '../../base/ip.js';
import type { Link, LinkAddress } from '../../kernel/rtnetlink/convert.js';

/** What the kernel knows about the network of this node: its addresses, those of kube-ipvs0 excepted, and its gateways. */
export class NodeNetwork {
  readonly addresses = new NodeAddresses();
  #gateways: ReadonlySet<IpAddress> = new Set();

  get gateways(): ReadonlySet<IpAddress> {
    return this.#gateways;
  }

  /** Replaces everything. Returns whether the addresses or the gateways changed. */
  replace(
    links: readonly Pick<Link, 'index' | 'name'>[],
    addresses: readonly LinkAddress[],
    gateways: ReadonlySet<IpAddress>,
  ): boolean {
    const gatewaysChanged = !sameElements(this.#gateways, gateways);
    this.#gateways = gateways;
    return this.addresses.replace(links, addresses) || gatewaysChanged;
  }
}
