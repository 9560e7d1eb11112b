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
 * How packets of pods are told from others, for each family (kube-proxy-ipvs §4.6.1). A family without the network that the
 * mode asks for has no detector: in NodeCIDR mode so it is until the Node is known and has a network for its pods.
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
 * Whether the Node has yet to get the networks of its pods in the mode that goes by them. Till then nobody is taken for a pod,
 * and whoever asks for a ClusterIP is to be masqueraded: that connects, whoever it is.
 */
export const podNetworksUnknown = (
  { podDetection }: Pick<Settings, 'podDetection'>,
  node: Pick<Node, 'podCidrs'> | undefined,
): boolean => podDetection.mode === 'NodeCIDR' && (node?.podCidrs.length ?? 0) === 0;
