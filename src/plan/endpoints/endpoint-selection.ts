import type { Endpoint } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { RealServerKey } from '../../model/virtual-server.js';
import { clusterEndpoints, localEndpoints, type PortEndpoint, type PortEndpoints } from './endpoints.js';

/** Why an endpoint is used. */
export type UsedReason =
  /** The endpoint is ready. */
  | 'ready'
  /** The endpoint is ready, and a topology hint names this node. */
  | 'hinted-for-node'
  /** The endpoint is ready, and a topology hint names this node's zone. */
  | 'hinted-for-zone'
  /** The endpoint is terminating but still serving, and no endpoint is ready. */
  | 'last-resort';

/** Why an endpoint is not used. */
export type UnusedReason =
  /** The endpoint is neither ready nor terminating. */
  | 'not-ready'
  /** The endpoint is terminating, and others are ready or it no longer serves. */
  | 'terminating'
  /** The endpoint is on another node, and the traffic policy is Local. */
  | 'on-another-node'
  /** Topology hints assign it to other nodes, and other endpoints to this node. */
  | 'hinted-for-other-nodes'
  /** Topology hints assign it to other zones, and other endpoints to this node's zone. */
  | 'hinted-for-other-zones';

export type SelectionResult =
  | { readonly used: true; readonly reason: UsedReason }
  | { readonly used: false; readonly reason: UnusedReason };

/** Whether each traffic policy uses an endpoint, and why. */
export interface EndpointSelection {
  readonly of: PortEndpoint;
  readonly cluster: SelectionResult;
  readonly local: SelectionResult;
}

const unusedResult = ({ terminating }: Endpoint): SelectionResult => ({
  used: false,
  reason: terminating ? 'terminating' : 'not-ready',
});

/** The scope to which hints narrowed the endpoints of policy Cluster. */
type HintScope = 'node' | 'zone' | undefined;

const hintScopeOf = (ready: PortEndpoints, chosen: PortEndpoints, node: NodeFacts): HintScope => {
  // Hints that exclude no endpoint changed nothing.
  if (chosen.length === ready.length) return undefined;
  return chosen.every(({ endpoint }) => endpoint.nodeHints.includes(node.name)) ? 'node' : 'zone';
};

const readyReasons = {
  used: { node: 'hinted-for-node', zone: 'hinted-for-zone' },
  unused: { node: 'hinted-for-other-nodes', zone: 'hinted-for-other-zones' },
} as const;

const clusterResult = (endpoint: Endpoint, used: boolean, hintScope: HintScope): SelectionResult => {
  if (!endpoint.ready) return used ? { used, reason: 'last-resort' } : unusedResult(endpoint);
  if (used) return { used, reason: hintScope === undefined ? 'ready' : readyReasons.used[hintScope] };
  return { used, reason: readyReasons.unused[hintScope ?? 'zone'] };
};

const localResult = (endpoint: Endpoint, used: boolean, node: NodeFacts): SelectionResult => {
  if (used) return { used, reason: endpoint.ready ? 'ready' : 'last-resort' };
  if (node.name === '' || endpoint.nodeName !== node.name) return { used, reason: 'on-another-node' };
  return unusedResult(endpoint);
};

const keysOf = (endpoints: PortEndpoints): ReadonlySet<RealServerKey> =>
  new Set(endpoints.map(({ key }) => key));

/** Explains for each endpoint of a port whether `clusterEndpoints` and `localEndpoints` select it. */
export const endpointSelections = (
  endpoints: PortEndpoints,
  node: NodeFacts,
): readonly EndpointSelection[] => {
  const chosen = clusterEndpoints(endpoints, node);
  const ready = endpoints.filter(({ endpoint }) => endpoint.ready);
  const hintScope = ready.length === 0 ? undefined : hintScopeOf(ready, chosen, node);
  const cluster = keysOf(chosen);
  const local = keysOf(localEndpoints(endpoints, node));
  return endpoints.map((of) => ({
    of,
    cluster: clusterResult(of.endpoint, cluster.has(of.key), hintScope),
    local: localResult(of.endpoint, local.has(of.key), node),
  }));
};
