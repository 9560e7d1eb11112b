import { formatSocketAddress, type Family } from '../../base/ip.js';
import type { Endpoint, EndpointSlice } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { ServicePort } from '../../model/service.js';
import type { RealServerKey } from '../../model/virtual-server.js';

/** An endpoint on one of its ports. */
export interface PortEndpoint {
  readonly key: RealServerKey;
  readonly endpoint: Endpoint;
  readonly port: number;
}

/** What one Service port may be served by: one record for each address and port, sorted by their text. */
export type PortEndpoints = readonly PortEndpoint[];

const none: PortEndpoints = [];

/** Slices and Service ports meet by the family, the port's name and the protocol. */
const portId = (family: Family, port: { readonly name: string; readonly protocol: string }): string =>
  `${family} ${port.protocol} ${port.name}`;

/**
 * Of two records of one address and port the greater one counts: not terminating before terminating (as kube-proxy), then
 * ready, then serving; of equal ones that in the first slice by name.
 */
const rank = (endpoint: Endpoint): number =>
  (endpoint.terminating ? 0 : 4) + (endpoint.ready ? 2 : 0) + (endpoint.serving ? 1 : 0);

const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const addSlice = (slice: EndpointSlice, byPort: Map<string, Map<RealServerKey, PortEndpoint>>): void => {
  for (const port of slice.ports) {
    const id = portId(slice.family, port);
    const records = byPort.get(id) ?? new Map<RealServerKey, PortEndpoint>();
    byPort.set(id, records);
    for (const endpoint of slice.endpoints) {
      const key = formatSocketAddress(endpoint.address, port.port) as RealServerKey;
      const other = records.get(key);
      if (other === undefined || rank(endpoint) > rank(other.endpoint))
        records.set(key, { key, endpoint, port: port.port });
    }
  }
};

/** The endpoints in all slices of a Service, by its ports. The order of the slices means nothing. */
export const endpointsByPort = (
  slices: readonly EndpointSlice[],
): ((family: Family, port: ServicePort) => PortEndpoints) => {
  const byPort = new Map<string, Map<RealServerKey, PortEndpoint>>();
  for (const slice of slices.toSorted((a, b) => byText(a.key, b.key))) addSlice(slice, byPort);
  return (family, port) => {
    const records = byPort.get(portId(family, port));
    return records === undefined ? none : [...records.values()].toSorted((a, b) => byText(a.key, b.key));
  };
};

const isReady = ({ endpoint }: PortEndpoint): boolean => endpoint.ready;
const isServingTerminating = ({ endpoint }: PortEndpoint): boolean =>
  endpoint.serving && endpoint.terminating;

/** Ready endpoints, or, where there are none, those that still serve while they terminate. */
const usableEndpoints = (endpoints: PortEndpoints): PortEndpoints => {
  const ready = endpoints.filter(isReady);
  return ready.length > 0 ? ready : endpoints.filter(isServingTerminating);
};

/** Keeps the endpoints that hint the name, if every endpoint has hints and one hints it. */
const hintedFor = (
  endpoints: PortEndpoints,
  name: string,
  hints: (endpoint: Endpoint) => readonly string[],
): PortEndpoints => {
  // A node without a zone is in nobody's zone.
  if (name === '' || endpoints.some(({ endpoint }) => hints(endpoint).length === 0)) return none;
  return endpoints.filter(({ endpoint }) => hints(endpoint).includes(name));
};

/** Endpoints by topology: those hinted for this node, else those for its zone, else all. */
const allowedByTopology = (ready: PortEndpoints, node: NodeFacts): PortEndpoints => {
  const sameNode = hintedFor(ready, node.name, ({ nodeHints }) => nodeHints);
  if (sameNode.length > 0) return sameNode;
  const sameZone = hintedFor(ready, node.zone, ({ zoneHints }) => zoneHints);
  return sameZone.length > 0 ? sameZone : ready;
};

/** What policy Cluster uses: ready endpoints that topology hints allow, or terminating ones that still serve. */
export const clusterEndpoints = (endpoints: PortEndpoints, node: NodeFacts): PortEndpoints => {
  const ready = endpoints.filter(isReady);
  return ready.length > 0 ? allowedByTopology(ready, node) : usableEndpoints(endpoints);
};

/** What policy Local uses: the same among the endpoints of this node; hints play no part. */
export const localEndpoints = (endpoints: PortEndpoints, node: NodeFacts): PortEndpoints =>
  usableEndpoints(endpoints.filter(({ endpoint }) => node.name !== '' && endpoint.nodeName === node.name));
