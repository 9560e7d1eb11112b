import { formatSocketAddress, type Family } from '../../base/ip.js';
import type { Endpoint, EndpointSlice } from '../../model/endpoint.js';
import type { NodeFacts } from '../../model/node.js';
import type { ServicePort } from '../../model/service.js';
import type { RealServerKey } from '../../model/virtual-server.js';

/** An endpoint with one of its ports. */
export interface PortEndpoint {
  readonly key: RealServerKey;
  readonly endpoint: Endpoint;
  readonly port: number;
}

/** The candidate endpoints of one Service port: one record per address and port, sorted by their text. */
export type PortEndpoints = readonly PortEndpoint[];

const none: PortEndpoints = [];

/** EndpointSlices and Service ports match by family, port name and protocol. */
const portId = (family: Family, port: { readonly name: string; readonly protocol: string }): string =>
  `${family} ${port.protocol} ${port.name}`;

/**
 * The record with the higher rank wins if an address and port occurs twice: not terminating before
 * terminating (like kube-proxy), then ready, then serving. Among equal records, the first slice by name wins.
 */
const rank = (endpoint: Endpoint): number =>
  (endpoint.terminating ? 0 : 4) + (endpoint.ready ? 2 : 0) + (endpoint.serving ? 1 : 0);

const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const addSlice = (slice: EndpointSlice, byPort: Map<string, PortEndpoint[]>): void => {
  for (const { name, protocol, port } of slice.ports) {
    const id = portId(slice.family, { name, protocol });
    const records = byPort.get(id) ?? [];
    byPort.set(id, records);
    for (const endpoint of slice.endpoints)
      records.push({ key: formatSocketAddress(endpoint.address, port) as RealServerKey, endpoint, port });
  }
};

/** Sorts the records, and keeps the one with the highest rank of each key. */
const sortedAndUnique = (records: PortEndpoint[]): PortEndpoints => {
  // The sort is stable: of records with equal keys, those of the first slice stay first.
  records.sort((a, b) => byText(a.key, b.key));
  const hasDuplicates = records.some(({ key }, index) => key === records[index + 1]?.key);
  if (!hasDuplicates) return records;
  const unique: PortEndpoint[] = [];
  for (const record of records) {
    const last = unique.at(-1);
    if (last?.key !== record.key) unique.push(record);
    else if (rank(record.endpoint) > rank(last.endpoint)) unique[unique.length - 1] = record;
  }
  return unique;
};

/** The endpoints of all slices of a Service by port, independent of the order of the slices. */
export const endpointsByPort = (
  slices: readonly EndpointSlice[],
): ((family: Family, port: ServicePort) => PortEndpoints) => {
  const byPort = new Map<string, PortEndpoint[]>();
  for (const slice of slices.length > 1 ? slices.toSorted((a, b) => byText(a.key, b.key)) : slices)
    addSlice(slice, byPort);
  return (family, port) => {
    const records = byPort.get(portId(family, port));
    return records === undefined ? none : sortedAndUnique(records);
  };
};

const isReady = ({ endpoint }: PortEndpoint): boolean => endpoint.ready;
const isServingTerminating = ({ endpoint }: PortEndpoint): boolean =>
  endpoint.serving && endpoint.terminating;

/** The ready endpoints; if none is ready, those that terminate but still serve. */
const usableEndpoints = (endpoints: PortEndpoints): PortEndpoints => {
  const ready = endpoints.filter(isReady);
  return ready.length > 0 ? ready : endpoints.filter(isServingTerminating);
};

/** The endpoints with a hint for the name, if every endpoint has hints and at least one matches. */
const hintedFor = (
  endpoints: PortEndpoints,
  name: string,
  hints: (endpoint: Endpoint) => readonly string[],
): PortEndpoints => {
  // A node without a zone is not in the zone of any hint.
  if (name === '' || endpoints.some(({ endpoint }) => hints(endpoint).length === 0)) return none;
  return endpoints.filter(({ endpoint }) => hints(endpoint).includes(name));
};

/**
 * The endpoints that topology hints select: those for this node, otherwise those for its zone, otherwise all.
 */
const allowedByTopology = (ready: PortEndpoints, node: NodeFacts): PortEndpoints => {
  const sameNode = hintedFor(ready, node.name, ({ nodeHints }) => nodeHints);
  if (sameNode.length > 0) return sameNode;
  const sameZone = hintedFor(ready, node.zone, ({ zoneHints }) => zoneHints);
  return sameZone.length > 0 ? sameZone : ready;
};

/**
 * The endpoints of policy Cluster: ready ones that topology hints select, or terminating ones that still
 * serve.
 */
export const clusterEndpoints = (endpoints: PortEndpoints, node: NodeFacts): PortEndpoints => {
  const ready = endpoints.filter(isReady);
  return ready.length > 0 ? allowedByTopology(ready, node) : usableEndpoints(endpoints);
};

/** The endpoints of policy Local: the ready or still serving ones on this node, regardless of hints. */
export const localEndpoints = (endpoints: PortEndpoints, node: NodeFacts): PortEndpoints =>
  usableEndpoints(endpoints.filter(({ endpoint }) => node.name !== '' && endpoint.nodeName === node.name));
