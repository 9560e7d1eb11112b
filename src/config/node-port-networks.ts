import {
  familyOf,
  families,
  hostPrefixLength,
  isLoopback,
  parseIp,
  type Cidr,
  type IpAddress,
} from '../base/ip.js';
import type { Settings } from './settings.js';

const hostCidr = (address: IpAddress): Cidr => {
  const prefixLength = hostPrefixLength(familyOf(address));
  return { text: `${address}/${prefixLength}`, address, prefixLength };
};

/**
 * The networks whose local addresses serve NodePorts; [] means all. `primary` becomes the first address of each family of
 * the Node, or bindAddress in its family, loopback addresses excepted (kube-proxy-ipvs §1.5). `nodeAddresses` are those of
 * the Node object.
 */
export const nodePortNetworks = (
  settings: Pick<Settings, 'nodePortAddresses'> & {
    readonly configuration: { readonly bindAddress: string };
  },
  nodeAddresses: readonly IpAddress[],
): readonly Cidr[] => {
  if (settings.nodePortAddresses !== 'primary') return settings.nodePortAddresses;
  const bound = parseIp(settings.configuration.bindAddress);
  const specific = bound === undefined || bound === '0.0.0.0' || bound === '::' ? [] : [bound];
  return families
    .flatMap(
      (family) => [...specific, ...nodeAddresses].find((address) => familyOf(address) === family) ?? [],
    )
    .filter((address) => !isLoopback(address))
    .map(hostCidr);
};
