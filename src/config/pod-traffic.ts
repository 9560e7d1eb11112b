import { cidrFamily, families, type Cidr, type Family } from '../base/ip.js';
import type { PodTraffic, PodTrafficDetectors } from '../model/pod-traffic.js';
import type { Node } from '../model/node.js';
import type { Settings } from './settings.js';

const bySource = (cidrs: readonly Cidr[], family: Family): PodTraffic | undefined => {
  const cidr = cidrs.find((candidate) => cidrFamily(candidate) === family);
  return cidr && { by: 'source', cidr };
};

const detectorOf = (
  { podDetection, clusterCidrs }: Pick<Settings, 'podDetection' | 'clusterCidrs'>,
  node: Pick<Node, 'podCidrs'> | undefined,
  family: Family,
): PodTraffic | undefined => {
  switch (podDetection.mode) {
    case 'ClusterCIDR':
      return bySource(clusterCidrs, family);
    case 'NodeCIDR':
      return bySource(node?.podCidrs ?? [], family);
    case 'BridgeInterface':
      return { by: 'interface', name: podDetection.name };
    case 'InterfaceNamePrefix':
      return { by: 'interface-prefix', prefix: podDetection.prefix };
  }
};

/**
 * How traffic from pods is recognized, by family (kube-proxy-ipvs §4.6.1). A family without the network that the mode needs
 * has no detector; in NodeCIDR mode that is the case until the Node is known and has a pod network.
 */
export const podTraffic = (
  settings: Pick<Settings, 'podDetection' | 'clusterCidrs'>,
  node: Pick<Node, 'podCidrs'> | undefined,
): PodTrafficDetectors =>
  Object.fromEntries(
    families.flatMap((family) => {
      const detector = detectorOf(settings, node, family);
      return detector === undefined ? [] : [[family, detector]];
    }),
  );

/**
 * Whether the mode is NodeCIDR and the Node has no pod networks yet. Until it has, no client is recognized as a pod, and
 * every connection to a ClusterIP is masqueraded, which works for all clients.
 */
export const podNetworksUnknown = (
  { podDetection }: Pick<Settings, 'podDetection'>,
  node: Pick<Node, 'podCidrs'> | undefined,
): boolean => podDetection.mode === 'NodeCIDR' && (node?.podCidrs.length ?? 0) === 0;
