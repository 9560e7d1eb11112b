import { IpvsClient } from '../kernel/ipvs/client.js';
import { NftablesClient } from '../kernel/nftables/client.js';
import { RouteClient } from '../kernel/rtnetlink/client.js';
import { unlessLacking } from './removal.js';

/** A part of the kernel; undefined where this kernel does not have it, and so nothing to remove. */
export interface Clients extends Disposable {
  readonly ipvs: IpvsClient | undefined;
  readonly route: RouteClient;
  readonly nftables: NftablesClient | undefined;
}

/** Opens what there is. */
export const openClients = async (): Promise<Clients> => {
  const ipvs = await unlessLacking(() => IpvsClient.open());
  const route = RouteClient.open();
  const nftables = await unlessLacking(() => NftablesClient.open());
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
