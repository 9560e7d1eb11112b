import { families, familyOf, isUnspecified, parseIp, type Cidr, type Family } from '../../base/ip.js';
import { onlyFamily, openNodePortsWarning, otherFamily, isDualStack } from '../../config/network-families.js';
import { nodePortNetworks } from '../../config/node-port-networks.js';
import type { Settings } from '../../config/settings.js';
import type { Node } from '../../model/node.js';

export interface SanityInput {
  readonly settings: Pick<
    Settings,
    'nodePortAddresses' | 'clusterCidrs' | 'excludeCidrs' | 'podDetection' | 'configuration'
  >;
  readonly node: Pick<Node, 'addresses' | 'podCidrs'> | undefined;
  /** The families that this machine has. */
  readonly served: readonly Family[];
}

/** The primary family of the cluster: that of bindAddress, or of the Node's first address (kube-proxy-ipvs §1.5). */
const primaryFamily = ({ settings, node }: SanityInput): Family => {
  const bound = parseIp(settings.configuration.bindAddress);
  if (bound !== undefined && !isUnspecified(bound)) return familyOf(bound);
  const [first] = node?.addresses ?? [];
  return first === undefined ? 'IPv4' : familyOf(first);
};

const nodePortWarnings = (input: SanityInput, primary: Family): readonly string[] => {
  const { settings, node, served } = input;
  if (settings.nodePortAddresses !== 'primary' && settings.nodePortAddresses.length === 0)
    return [
      'nodePortAddresses is empty: NodePorts are served on every address of this node; set [primary] to serve them on the addresses of the Node object only',
    ];
  const networks = nodePortNetworks(settings, node?.addresses ?? []);
  const only = onlyFamily(networks);
  const dualStack = isDualStack([settings.clusterCidrs, settings.excludeCidrs, node?.podCidrs ?? []]);
  const open = families.filter(
    (family) =>
      served.includes(family) &&
      (networks.length === 0 || only === otherFamily(family)) &&
      (dualStack || family === primary),
  );
  return open.map(openNodePortsWarning);
};

const podNetworkWarnings = ({ settings, node, served }: SanityInput, primary: Family): readonly string[] => {
  const wrong = (field: string, cidrs: readonly Cidr[], mode: Settings['podDetection']['mode']): string[] => {
    if (onlyFamily(cidrs) !== otherFamily(primary)) return [];
    const isEffective = settings.podDetection.mode === mode && served.includes(primary);
    const effect = isEffective ? `: ${primary} traffic from pods is not recognized, and not masqueraded` : '';
    return [
      `${field} contains only ${otherFamily(primary)} networks, but the primary family of this cluster is ${primary}${effect}`,
    ];
  };
  return [
    ...wrong('clusterCIDR', settings.clusterCidrs, 'ClusterCIDR'),
    ...wrong('spec.podCIDRs of the Node', node?.podCidrs ?? [], 'NodeCIDR'),
  ];
};

/** Settings for a family that this machine does not have. */
const singleFamilyWarnings = ({ settings, served }: SanityInput): readonly string[] => {
  const [family, second] = served;
  if (family === undefined || second !== undefined) return [];
  const { healthzBindAddress, metricsBindAddress } = settings.configuration;
  const ofOther = (endpoint: string): boolean => {
    const host = parseIp(endpoint.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''));
    return host !== undefined && !isUnspecified(host) && familyOf(host) !== family;
  };
  const sentence = (field: string): string =>
    `${field} is ${otherFamily(family)}, which this node does not have`;
  return [
    ...(settings.excludeCidrs.length > 0 && onlyFamily(settings.excludeCidrs) === otherFamily(family)
      ? [sentence('ipvs.excludeCIDRs')]
      : []),
    ...(ofOther(healthzBindAddress) ? [sentence('healthzBindAddress')] : []),
    ...(ofOther(metricsBindAddress) ? [sentence('metricsBindAddress')] : []),
  ];
};

/** Settings that are valid but probably a mistake, one line each (kube-proxy-ipvs §1.11). */
export const sanityWarnings = (input: SanityInput): readonly string[] => {
  const primary = primaryFamily(input);
  return [
    ...nodePortWarnings(input, primary),
    ...podNetworkWarnings(input, primary),
    ...singleFamilyWarnings(input),
  ];
};
