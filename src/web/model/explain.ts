import { virtualServerFromJson } from '../../admin-api/desired-response.js';
import type { PageRealServer, PageRealServersResponse } from '../../admin-api/page.js';
import type {
  ServedVirtualServerResponse,
  ServiceReportResponse,
  StatusResponse,
} from '../../admin-api/responses.js';
import { parseIp, type Family } from '../../base/ip.js';
import {
  servedVirtualServer,
  serviceEndpoint,
  type KernelFacts,
  type ReportFacts,
} from '../../cli/explain/facts.js';
import { buildServiceReport, type ServiceReport } from '../../cli/explain/service-report.js';

type ObservedVirtualServer = KernelFacts['virtualServers'] extends ReadonlyMap<string, infer V> ? V : never;

/** The virtual server as the daemon knows it, with the counters that the page read. */
const observedServer = (
  { key, kernel }: ServedVirtualServerResponse,
  counters: readonly PageRealServer[],
): readonly (readonly [string, ObservedVirtualServer])[] => {
  if (kernel === undefined) return [];
  const { server, realServers } = virtualServerFromJson(key, kernel);
  const byKey = new Map(counters.map((one) => [one.key, one]));
  const observed = [...realServers].map(([real, of]) => {
    const { active = 0, inactive = 0 } = byKey.get(real) ?? {};
    const counts = { activeConnections: active, inactiveConnections: inactive, persistentConnections: 0 };
    return [real, { ...of, ...counts, statistics: undefined }] as const;
  });
  return [[key, { server: { ...server, statistics: undefined }, realServers: new Map(observed) }]];
};

const rulesOf = ({ packetRules }: StatusResponse): KernelFacts['rules'] => {
  const isInForce = (family: Family): boolean => packetRules[family]?.inForce === true;
  // The daemon says which elements are in the kernel: nothing asks for the rules themselves.
  const environment = (family: Family): KernelFacts['rules'] => ({
    [family]: {
      table: { family, name: '', sets: [], chains: [] },
      isLocal: () => false,
      hasElement: () => false,
    },
  });
  return Object.assign({}, ...(['IPv4', 'IPv6'] as const).filter(isInForce).map(environment)) as object;
};

const kernelFacts = (
  report: ServiceReportResponse,
  { virtualServers }: PageRealServersResponse,
  status: StatusResponse,
): KernelFacts => {
  const bound = report.addresses
    .filter((address) => address.bound)
    .flatMap(({ address }) => parseIp(address) ?? []);
  return {
    virtualServers: new Map(
      report.virtualServers.flatMap((served) => observedServer(served, virtualServers[served.key] ?? [])),
    ),
    dummyInterface: 'the node',
    vips: new Map(bound.map((address) => [address, ['address']])),
    addresses: new Set(bound),
    rules: rulesOf(status),
  };
};

/** What `kube-ipvs explain` says about a Service, by what the daemon knows of the kernel. Without the checks of the node. */
export const explainService = (
  report: ServiceReportResponse,
  realServers: PageRealServersResponse,
  status: StatusResponse,
): ServiceReport => {
  // Without the fields of an element, the checks take the daemon's word for it.
  const elements = report.elements.map(({ family, set, element, inKernel }) => ({
    family,
    set,
    element,
    inKernel,
  }));
  const facts: ReportFacts = {
    target: report.service.name,
    service: { ...report, elements },
    served: report.virtualServers.map(servedVirtualServer),
    endpoints: report.endpoints.map(serviceEndpoint),
    pod: undefined,
    kernel: { value: kernelFacts(report, realServers, status) },
    node: [],
    status: { value: status },
  };
  return buildServiceReport(facts, []);
};
