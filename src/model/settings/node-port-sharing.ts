/**
 * Whether the node ports of a Service have one virtual server for all addresses, or why each address has its own:
 * IPVS does not translate the port of a persistent virtual server on a firewall mark, and requests from the cluster
 * that reach other endpoints than requests from outside have a mark by address.
 */
export const nodePortSharings = ['shared', 'persistence', 'in-cluster-endpoints'] as const;
export type NodePortSharing = (typeof nodePortSharings)[number];
