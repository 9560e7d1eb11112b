import { cidrFamily, families, type Cidr, type Family } from '../base/ip.js';
import type { Settings } from './settings.js';

/** The family of all networks; undefined if there are both families, or no networks. */
export const onlyFamily = (cidrs: readonly Cidr[]): Family | undefined => {
  const found = families.filter((family) => cidrs.some((cidr) => cidrFamily(cidr) === family));
  return found.length === 1 ? found[0] : undefined;
};

export const otherFamily = (family: Family): Family => (family === 'IPv4' ? 'IPv6' : 'IPv4');

/** Whether one of the lists has networks of both families, as in a dual-stack cluster. */
export const isDualStack = (lists: readonly (readonly Cidr[])[]): boolean =>
  lists.some((cidrs) => cidrs.length > 0 && onlyFamily(cidrs) === undefined);

/** The warning for a family that nodePortAddresses leaves out. */
export const openNodePortsWarning = (family: Family): string =>
  `nodePortAddresses contains no ${family} network: NodePorts are served on every ${family} address of this node`;

/** Warnings about a probably unintended configuration, as kube-proxy logs them at its start (kube-proxy-ipvs §1.11). */
export const networkWarnings = ({
  nodePortAddresses,
  clusterCidrs,
  excludeCidrs,
}: Pick<Settings, 'nodePortAddresses' | 'clusterCidrs' | 'excludeCidrs'>): readonly string[] => {
  if (nodePortAddresses === 'primary') return [];
  const only = onlyFamily(nodePortAddresses);
  return only !== undefined && isDualStack([clusterCidrs, excludeCidrs])
    ? [openNodePortsWarning(otherFamily(only))]
    : [];
};
