import type { ServiceReportResponse } from '../admin-api/responses.js';
import type { VirtualServerJson } from '../plan/output/ipvs-table-formats.js';
import { frontendName, type ServiceAnswer } from './service-answer.js';
import {
  endpointName,
  endpointState,
  serviceFields,
  type EndpointState,
  type ServiceTruth,
} from './service-truth.js';

type Served = ServiceReportResponse['virtualServers'][number];

/** The daemon lists at most this many endpoints of a Service. */
const maximumEndpoints = 5_000;

const fieldFindings = (truth: ServiceTruth, { service }: ServiceReportResponse): readonly string[] => {
  const known = serviceFields(service);
  return Object.entries(truth.fields)
    .filter(([name, value]) => known[name] !== value)
    .map(([name, value]) => `the daemon has ${name} "${known[name] ?? ''}"; the API has "${value}"`);
};

const endpointFindings = (truth: ServiceTruth, report: ServiceReportResponse): readonly string[] => {
  const known = new Map<string, EndpointState>(
    report.endpoints.map((endpoint) => [
      endpointName(endpoint.port, endpoint.realServer),
      endpointState(endpoint),
    ]),
  );
  const isComplete = report.endpointCount <= maximumEndpoints;
  const findings = [...truth.endpoints].flatMap(([name, state]) => {
    const found = known.get(name);
    if (found === undefined) return isComplete ? [`the daemon does not know endpoint ${name}`] : [];
    return found === state ? [] : [`the daemon has endpoint ${name} as ${found}; the API has it as ${state}`];
  });
  const extra = [...known.keys()]
    .filter((name) => !truth.endpoints.has(name))
    .map((name) => `the daemon still has endpoint ${name}, which the API does not have`);
  return [...findings, ...extra];
};

const realServerFindings = (
  { realServers, ...served }: Served,
  wanted: VirtualServerJson,
  found: VirtualServerJson,
): readonly string[] => {
  const frontend = frontendName(served);
  const missing = Object.entries(wanted.realServers).flatMap(([key, { weight }]) => {
    const server = found.realServers[key];
    if (server === undefined) return [`the kernel lacks real server ${key} of ${frontend}`];
    return server.weight === weight
      ? []
      : [`the kernel has weight ${server.weight} for real server ${key} of ${frontend}, not ${weight}`];
  });
  const extra = Object.keys(found.realServers)
    .filter((key) => wanted.realServers[key] === undefined && realServers[key]?.state !== 'draining')
    .map((key) => `the kernel has real server ${key} of ${frontend}, which is not desired`);
  return [...missing, ...extra];
};

const virtualServerFindings = (served: Served, { kernel }: ServiceAnswer): readonly string[] => {
  const { wanted } = served;
  const frontend = frontendName(served);
  if (wanted === undefined) return [`another Service has ${frontend}`];
  // Without a look at the kernel, what the daemon knows of it has to do.
  const found = kernel === undefined ? served.kernel : kernel.virtualServers[served.key];
  if (found === undefined) return [`the kernel lacks virtual server ${frontend}`];
  const scheduler =
    found.scheduler === wanted.scheduler
      ? []
      : [`the kernel has scheduler ${found.scheduler} for ${frontend}, not ${wanted.scheduler}`];
  return [...scheduler, ...realServerFindings(served, wanted, found)];
};

/** Where a node differs from the API and from what its daemon desires: a sentence each, sorted. None: it is as it should be. */
export const nodeFindings = (truth: ServiceTruth, answer: ServiceAnswer): readonly string[] => {
  const { service } = answer;
  if (service === undefined) return ['the daemon does not serve the Service'];
  const findings = [
    ...fieldFindings(truth, service),
    ...endpointFindings(truth, service),
    ...service.virtualServers.flatMap((served) => virtualServerFindings(served, answer)),
    ...service.addresses
      .filter(({ bound }) => !bound)
      .map(({ address }) => `the kernel lacks VIP ${address}`),
    ...service.problems.map(({ message }) => message),
  ];
  return [...new Set(findings)].toSorted();
};
