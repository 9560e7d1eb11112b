import { quote } from '../../base/text.js';
import {
  cidrFamily,
  families,
  familyOf,
  parseCidr,
  parseIp,
  type Cidr,
  type IpAddress,
} from '../../base/ip.js';
import { endpointSliceKey, type Endpoint, type EndpointPort } from '../../model/endpoint.js';
import type { EndpointSlice, EndpointSliceKey } from '../../model/endpoint.js';
import type { Node } from '../../model/node.js';
import { type Protocol } from '../../base/protocol.js';
import { isOfInstance } from '../../model/instance-names.js';
import { serviceKey, type Service, type ServiceKey, type ServicePort } from '../../model/service.js';
import { Interner } from './interner.js';
import { serviceAnnotationsOf, unknownAnnotationsOf } from './parse-annotations.js';
import {
  readEndpointSlice,
  readNode,
  readService,
  type EndpointSliceShape,
  type NodeShape,
  type ServiceShape,
} from './schemas.js';

/** A parsed object. Parts that cannot be served are left out, each with a problem; an undefined value is not served by kube-ipvs. */
export interface Parsed<Key, Value> {
  readonly key: Key;
  readonly value: Value | undefined;
  readonly problems: readonly string[];
}

const protocols: ReadonlyMap<string, Protocol> = new Map([
  ['TCP', 'TCP'],
  ['UDP', 'UDP'],
  ['SCTP', 'SCTP'],
]);

/** API defaults, for hand-written objects. */
const defaultNamespace = 'default';
const defaultProtocol = 'TCP';
const defaultAffinitySeconds = 10_800;

const texts = new Interner<string>();
const servicePortLists = new Interner<readonly ServicePort[]>();
const intern = (text: string): string => texts.intern(text, () => text);

type Report = (problem: string) => void;

/** Shared, because objects have many empty lists. */
const empty: readonly never[] = [];

/** Parses the valid items; invalid ones except blank ones are reported with the field's name. */
const parseEach = <Value>(
  field: string,
  items: readonly string[] | null | undefined,
  parse: (text: string) => Value | undefined,
  report: Report,
): readonly Value[] => {
  if (!items?.length) return empty;
  return items.flatMap((item, index) => {
    const value = parse(item);
    if (value === undefined && item.trim() !== '')
      report(`${field}[${index}]: ${quote(item)} is not valid; skipped`);
    return value === undefined ? [] : [value];
  });
};

const servicePort = (
  entry: NonNullable<ServiceShape['spec']['ports']>[number],
  index: number,
  report: Report,
): ServicePort | undefined => {
  const protocol = protocols.get(entry.protocol || defaultProtocol);
  if (protocol === undefined) {
    report(
      `spec.ports[${index}].protocol: ${quote(entry.protocol)} is not TCP, UDP or SCTP; the port is skipped`,
    );
    return undefined;
  }
  return {
    name: intern(entry.name ?? ''),
    protocol,
    port: entry.port,
    nodePort: entry.nodePort || undefined,
  };
};

const servicePorts = (spec: ServiceShape['spec'], report: Report): readonly ServicePort[] => {
  const list = (spec.ports ?? []).flatMap((entry, index) => servicePort(entry, index, report) ?? []);
  return servicePortLists.intern(JSON.stringify(list), () => list);
};

/** ipFamilies has the family of each of clusterIPs; where it is absent (old or hand-written objects) the address decides. */
const clusterIpsOf = (spec: ServiceShape['spec'], report: Report): Service['clusterIps'] => {
  const written = spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP ?? ''];
  const clusterIps: { -readonly [Name in keyof Service['clusterIps']]: Service['clusterIps'][Name] } = {};
  for (const [index, item] of written.entries()) {
    const address = parseIp(item);
    const family = spec.ipFamilies?.length ? spec.ipFamilies[index] : address && familyOf(address);
    if (address === undefined || family !== familyOf(address))
      report(
        `spec.clusterIPs[${index}]: ${quote(item)} is skipped: no address of ${family ?? 'a listed family'}`,
      );
    else clusterIps[family] ??= address;
  }
  return clusterIps;
};

const isVip = (ipMode: string | null | undefined): boolean =>
  ipMode === undefined || ipMode === null || ipMode === 'VIP';

const loadBalancerIpsOf = (status: ServiceShape['status'], report: Report): readonly IpAddress[] =>
  parseEach(
    'status.loadBalancer.ingress',
    status?.loadBalancer?.ingress?.map(({ ip, ipMode }) => (isVip(ipMode) ? (ip ?? '') : '')),
    parseIp,
    report,
  );

/** A range of prefix length 0 admits all clients of its family, so its family has no restriction. */
const sourceRangesOf = (spec: ServiceShape['spec'], report: Report): readonly Cidr[] => {
  const ranges = parseEach(
    'spec.loadBalancerSourceRanges',
    spec.loadBalancerSourceRanges,
    (item) => parseCidr(item.trim()),
    report,
  );
  if (ranges.length === 0) return empty;
  const open = families.filter((family) =>
    ranges.some((range) => range.prefixLength === 0 && cidrFamily(range) === family),
  );
  return ranges.filter((range) => !open.includes(cidrFamily(range)));
};

const externalTrafficPolicyOf = (spec: ServiceShape['spec']): Service['externalTrafficPolicy'] => {
  const reachable = (spec.type || 'ClusterIP') !== 'ClusterIP' || (spec.externalIPs?.length ?? 0) > 0;
  return reachable && spec.externalTrafficPolicy === 'Local' ? 'Local' : 'Cluster';
};

const healthCheckNodePortOf = (spec: ServiceShape['spec'], report: Report): number | undefined => {
  if (spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local') return undefined;
  if (!spec.healthCheckNodePort) report('spec.healthCheckNodePort: absent, so no health check is served');
  return spec.healthCheckNodePort || undefined;
};

/** Objects without a creation time count as the oldest. */
const createdAtOf = (metadata: ServiceShape['metadata']): number =>
  Date.parse(metadata.creationTimestamp ?? '') || 0;

/** Why kube-ipvs does not serve a Service; '' where that is expected. Undefined: it serves it. */
const reasonToSkip = ({ metadata, spec }: ServiceShape, serviceProxyName: string): string | undefined => {
  if (!isOfInstance(metadata.labels, serviceProxyName)) return '';
  if (spec.type === 'ExternalName' || spec.clusterIP === 'None') return '';
  if (spec.clusterIPs?.[0] === 'None') return '';
  if (!spec.clusterIP && !spec.clusterIPs?.length)
    return 'spec.clusterIP: absent, so it is not served (only an API server can choose one)';
  return undefined;
};

/**
 * A core/v1 Service as kube-proxy sees it (label and field selectors of its watch applied too); undefined where it is
 * headless, an ExternalName or another proxy's: one that has another name in its label. Throws MalformedObject.
 */
export const toService = (object: unknown, serviceProxyName = ''): Parsed<ServiceKey, Service> => {
  const shape = readService(object);
  const { metadata, spec } = shape;
  const namespace = intern(metadata.namespace || defaultNamespace);
  const key = serviceKey(namespace, metadata.name);
  const skipped = reasonToSkip(shape, serviceProxyName);
  if (skipped !== undefined) return { key, value: undefined, problems: skipped === '' ? [] : [skipped] };
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  const unknownAnnotations = unknownAnnotationsOf(metadata);
  const value: Service = {
    key,
    namespace,
    name: metadata.name,
    uid: metadata.uid || undefined,
    createdAt: createdAtOf(metadata),
    type: spec.type === 'NodePort' || spec.type === 'LoadBalancer' ? spec.type : 'ClusterIP',
    clusterIps: clusterIpsOf(spec, report),
    ports: servicePorts(spec, report),
    affinitySeconds:
      spec.sessionAffinity === 'ClientIP'
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds)
        : undefined,
    internalTrafficPolicy: spec.internalTrafficPolicy ?? 'Cluster',
    externalTrafficPolicy: externalTrafficPolicyOf(spec),
    externalIps: parseEach('spec.externalIPs', spec.externalIPs, parseIp, report),
    loadBalancerIps: loadBalancerIpsOf(shape.status, report),
    loadBalancerSourceRanges: sourceRangesOf(spec, report),
    healthCheckNodePort: healthCheckNodePortOf(spec, report),
    annotations: serviceAnnotationsOf(metadata),
    ...(unknownAnnotations === undefined ? {} : { unknownAnnotations }),
  };
  return { key, value, problems };
};

const nameLists = new Interner<readonly string[]>();
const portLists = new Interner<readonly EndpointPort[]>();

const hintNames = (hints: readonly { readonly name: string }[] | null | undefined): readonly string[] => {
  if (!hints?.length) return empty;
  const names = hints.map(({ name }) => name);
  return nameLists.intern(JSON.stringify(names), () => names);
};

const endpointPorts = (shape: EndpointSliceShape, report: Report): readonly EndpointPort[] => {
  const ports: EndpointPort[] = [];
  for (const [index, entry] of (shape.ports ?? []).entries()) {
    const protocol = protocols.get(entry.protocol ?? defaultProtocol);
    if (protocol === undefined || !entry.port)
      report(
        `ports[${index}]: ${entry.port ? 'its protocol is not TCP, UDP or SCTP' : 'it has no number'}; skipped`,
      );
    else ports.push({ name: entry.name ?? '', protocol, port: entry.port });
  }
  return portLists.intern(JSON.stringify(ports), () => ports);
};

type EndpointEntry = NonNullable<EndpointSliceShape['endpoints']>[number];

/** The name of a pod in another namespace would be ambiguous. */
const podOf = ({ targetRef }: EndpointEntry, namespace: string): string | undefined =>
  targetRef?.kind === 'Pod' && (targetRef.namespace || namespace) === namespace
    ? (targetRef.name ?? undefined)
    : undefined;

const endpoint = (entry: EndpointEntry, address: IpAddress, namespace: string): Endpoint => ({
  address,
  pod: podOf(entry, namespace),
  nodeName: entry.nodeName ? intern(entry.nodeName) : undefined,
  zone: intern(entry.zone ?? ''),
  ready: entry.conditions?.ready !== false,
  serving: entry.conditions?.serving !== false,
  terminating: entry.conditions?.terminating === true,
  zoneHints: hintNames(entry.hints?.forZones),
  nodeHints: hintNames(entry.hints?.forNodes),
});

/** Only the first address counts: the API guarantees that all addresses of an endpoint are those of one pod. */
const endpointsOf = (shape: EndpointSliceShape, namespace: string, report: Report): readonly Endpoint[] => {
  const endpoints: Endpoint[] = [];
  for (const [index, entry] of (shape.endpoints ?? []).entries()) {
    const first = entry.addresses?.[0];
    if (first === undefined) continue;
    const address = parseIp(first);
    if (address !== undefined && familyOf(address) === shape.addressType)
      endpoints.push(endpoint(entry, address, namespace));
    else
      report(
        `endpoints[${index}].addresses[0]: ${quote(first)} is not an ${shape.addressType} address; skipped`,
      );
  }
  return endpoints;
};

const triggeredAtOf = ({ annotations }: EndpointSliceShape['metadata']): number | undefined =>
  Date.parse(annotations?.['endpoints.kubernetes.io/last-change-trigger-time'] ?? '') || undefined;

/**
 * A discovery.k8s.io/v1 EndpointSlice; undefined where it is of a headless Service, of another address type or names no
 * Service. With a `serviceProxyName`, the slice must have it in its label: its controller copies the labels of the Service.
 * Duplicate endpoints are kept for the code that chooses endpoints. Throws MalformedObject.
 */
export const toEndpointSlice = (
  object: unknown,
  serviceProxyName = '',
): Parsed<EndpointSliceKey, EndpointSlice> => {
  const shape = readEndpointSlice(object);
  const { name, labels } = shape.metadata;
  const namespace = intern(shape.metadata.namespace || defaultNamespace);
  const key = endpointSliceKey(namespace, name);
  const nothing = (...problems: readonly string[]) => ({ key, value: undefined, problems });
  if (labels?.['service.kubernetes.io/headless'] !== undefined) return nothing();
  if (serviceProxyName !== '' && !isOfInstance(labels, serviceProxyName)) return nothing();
  const family = families.find((candidate) => candidate === shape.addressType);
  if (family === undefined)
    return nothing(`addressType: ${quote(shape.addressType)} is not served, only IPv4 and IPv6`);
  const serviceName = labels?.['kubernetes.io/service-name'];
  if (!serviceName)
    return nothing('metadata.labels[kubernetes.io/service-name]: absent, so it belongs to no Service');
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  const value: EndpointSlice = {
    key,
    service: serviceKey(namespace, serviceName),
    family,
    ports: endpointPorts(shape, report),
    endpoints: endpointsOf(shape, namespace, report),
    triggeredAt: triggeredAtOf(shape.metadata),
  };
  return { key, value, problems };
};

const nodeAddresses = (status: NodeShape['status'], report: Report): readonly IpAddress[] => {
  const ofType = (wanted: string): readonly IpAddress[] =>
    parseEach(
      'status.addresses',
      status?.addresses?.map(({ type, address }) => (type === wanted ? address : '')),
      parseIp,
      report,
    );
  return [...ofType('InternalIP'), ...ofType('ExternalIP')];
};

/** The cluster autoscaler's taint for a Node that it is about to remove. */
const removalTaint = 'ToBeDeletedByClusterAutoscaler';

/** A core/v1 Node, keyed by its name. Throws MalformedObject. */
export const toNode = (object: unknown): Parsed<string, Node> => {
  const { metadata, spec, status } = readNode(object);
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  const podCidrs = spec?.podCIDRs?.length ? spec.podCIDRs : [spec?.podCIDR ?? ''];
  const value: Node = {
    name: metadata.name,
    zone: metadata.labels?.['topology.kubernetes.io/zone'] ?? '',
    addresses: nodeAddresses(status, report),
    podCidrs: parseEach('spec.podCIDRs', podCidrs, parseCidr, report),
    isBeingRemoved:
      Boolean(metadata.deletionTimestamp) || (spec?.taints ?? []).some(({ key }) => key === removalTaint),
  };
  return { key: metadata.name, value, problems };
};
