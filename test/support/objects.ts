import { parseIp, type IpAddress } from '../../src/base/ip.js';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { InterfaceAddress, NodeFacts } from '../../src/model/node.js';
import type { Service } from '../../src/model/service.js';
import type { RenderSettings } from '../../src/plan/render/render-context.js';
import { toEndpointSlice, toService } from '../../src/watch/objects/parse-objects.js';

/** An address that a test is sure of. */
export const ip = (text: string): IpAddress => {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`${text} is no IP address`);
  return address;
};

/** Fields of a Service as the API has them. */
export interface ServiceSpec {
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  /** As `http:80/TCP@30080`: name, port, protocol (TCP where absent), node port. */
  readonly ports?: readonly string[];
  readonly ingress?: readonly object[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly createdAt?: string;
  readonly [field: string]: unknown;
}

const portPattern = /^(?<name>[^:]*):(?<port>\d+)(?:\/(?<protocol>\w+))?(?:@(?<nodePort>\d+))?$/;

const portObject = (text: string): object => {
  const { name, port, protocol = 'TCP', nodePort } = portPattern.exec(text)?.groups ?? {};
  if (port === undefined) throw new Error(`${text} is no port`);
  return {
    name,
    port: Number(port),
    protocol,
    ...(nodePort === undefined ? {} : { nodePort: Number(nodePort) }),
  };
};

const namespaced = (key: string): { readonly namespace: string; readonly name: string } => {
  const [first = '', second] = key.split('/');
  return second === undefined ? { namespace: 'default', name: first } : { namespace: first, name: second };
};

/** A Service as an API server would give it; key `namespace/name` or a name in `default`. */
export const serviceObject = (key: string, fields: ServiceSpec): object => {
  const { ports = [':80'], ingress, labels, annotations, createdAt, ...spec } = fields;
  const clusterIPs = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...namespaced(key),
      labels,
      annotations,
      creationTimestamp: createdAt ?? '2024-01-01T00:00:00Z',
    },
    spec: { type: 'ClusterIP', ...spec, clusterIPs, clusterIP: clusterIPs[0], ports: ports.map(portObject) },
    status: { loadBalancer: { ingress } },
  };
};

/** The same as a value of ours; a Service that is not served is an error. */
export const service = (key: string, fields: ServiceSpec): Service => {
  const { value } = toService(serviceObject(key, fields));
  if (value === undefined) throw new Error(`${key} is not served`);
  return value;
};

/** An endpoint: an address, the node it is on and its state. */
export interface EndpointSpec {
  readonly address: string;
  readonly on: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
  readonly pod?: string;
  readonly zone?: string;
}

/** The node that tests are on, and one that they are not on. */
export const thisNode = 'n1';
export const otherNode = 'n2';

const endpointIn =
  (ready: boolean, serving: boolean, terminating: boolean) =>
  (address: string, options: Partial<EndpointSpec> = {}): EndpointSpec => ({
    address,
    on: otherNode,
    ready,
    serving,
    terminating,
    zones: [],
    nodes: [],
    ...options,
  });

/** Endpoints on another node, unless told. */
export const ready = endpointIn(true, true, false);
export const notReady = endpointIn(false, false, false);
export const servingTerminating = endpointIn(false, true, true);
export const deadTerminating = endpointIn(false, false, true);

export const local = (endpoint: EndpointSpec): EndpointSpec => ({ ...endpoint, on: thisNode });

const hintNames = (names: readonly string[]): readonly object[] | undefined =>
  names.length === 0 ? undefined : names.map((name) => ({ name }));

const endpointObject = (endpoint: EndpointSpec): object => ({
  addresses: [endpoint.address],
  nodeName: endpoint.on,
  ...(endpoint.zone === undefined ? {} : { zone: endpoint.zone }),
  ...(endpoint.pod === undefined ? {} : { targetRef: { kind: 'Pod', name: endpoint.pod } }),
  conditions: { ready: endpoint.ready, serving: endpoint.serving, terminating: endpoint.terminating },
  hints: { forZones: hintNames(endpoint.zones), forNodes: hintNames(endpoint.nodes) },
});

/** An EndpointSlice `SERVICE-SUFFIX` as an API server would give it; ports as those of a Service. */
export const sliceObject = (
  of: string,
  endpoints: readonly EndpointSpec[],
  options: {
    readonly ports?: readonly string[];
    readonly suffix?: string;
    readonly family?: string;
    readonly labels?: object;
  } = {},
): object => {
  const { namespace, name } = namespaced(of);
  const { ports = [':80'], suffix = 'slice', family = 'IPv4' } = options;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace,
      name: `${name}-${suffix}`,
      labels: options.labels ?? { 'kubernetes.io/service-name': name },
    },
    addressType: family,
    ports: ports.map(portObject),
    endpoints: endpoints.map(endpointObject),
  };
};

/** The same as a value of ours; a slice that is not served is an error. */
export const slice = (...input: Parameters<typeof sliceObject>): EndpointSlice => {
  const { value } = toEndpointSlice(sliceObject(...input));
  if (value === undefined) throw new Error(`the slice of ${input[0]} is not served`);
  return value;
};

/** An address on an interface, as `eth0 10.0.0.1/24`; kube-ipvs0 has no place here. */
export const interfaceAddress = (text: string): InterfaceAddress => {
  const [interfaceName = '', host = ''] = text.split(' ');
  const [address = '', prefixLength] = host.split('/');
  return { interfaceName, address: ip(address), prefixLength: Number(prefixLength ?? 32) };
};

export const nodeFacts = (
  addresses: readonly string[] = ['lo 127.0.0.1/8', 'lo ::1/128'],
  zone = '',
  name = thisNode,
): NodeFacts => ({
  name,
  zone,
  addresses: addresses.map(interfaceAddress),
  statusAddresses: [],
  reserved: new Map(),
});

export const settings = (changes: Partial<RenderSettings> = {}): RenderSettings => ({
  scheduler: 'rr',
  nodePortAddresses: [],
  externalIpsAllowed: true,
  ...changes,
});
