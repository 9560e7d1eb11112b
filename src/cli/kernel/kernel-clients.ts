import { IpvsClient } from '../../kernel/ipvs/client.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { ifSupported } from '../cleanup/removal.js';

/** A client is undefined where this kernel does not have that part. */
export interface KernelClients extends Disposable {
  readonly ipvs: IpvsClient | undefined;
  readonly route: RtnetlinkClient;
  readonly nftables: NftablesClient | undefined;
}

/** Opens a client for each part that the kernel has. */
export const openKernelClients = async (names: InstanceNames): Promise<KernelClients> => {
  const ipvs = await ifSupported(() => IpvsClient.open());
  const route = RtnetlinkClient.open(names);
  const nftables = await ifSupported(() => NftablesClient.open());
  return {
    ipvs,
    route,
    nftables,
    [Symbol.dispose]: () => {
      ipvs?.close();
      route.close();
      nftables?.close();
    },
  };
};
