/**
 * Which endpoints serve requests from this node and its pods to an address with externalTrafficPolicy Local:
 * those on this node, as in kube-proxy's mode ipvs, or all, as in its modes iptables and nftables.
 */
export const inClusterEndpointNames = ['local', 'all'] as const;
export type InClusterEndpoints = (typeof inClusterEndpointNames)[number];
