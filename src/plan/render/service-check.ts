import { familyOf, isHostAddress } from '../../base/ip.js';
import type { Endpoint, EndpointPort, EndpointSlice } from '../../model/endpoint.js';
import type { Protocol } from '../../base/protocol.js';
import { shorten } from '../../base/text.js';
import {
  annotationField,
  serviceAnnotationNames,
  type ServiceAnnotations,
} from '../../model/settings/service-annotations.js';
import type { Service, ServicePort } from '../../model/service.js';
import { AnnotationReader, type ReportProblem } from './annotation-reader.js';
import { effectiveSettings, type EffectiveSettings, type SettingDefaults } from './effective-settings.js';
import type { Problem } from './fragment.js';

/** A Service without values that the kernel would reject. */
export interface CheckedService extends Service {
  readonly settings: EffectiveSettings;
}

export interface ServiceCheckResult {
  readonly checked: CheckedService;
  readonly slices: readonly EndpointSlice[];
  readonly problems: readonly Problem[];
  /** The annotations in force. */
  readonly validAnnotations: ServiceAnnotations;
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;

const protocols: ReadonlySet<Protocol> = new Set<Protocol>(['TCP', 'UDP', 'SCTP']);

/** One day, the maximum that the API server accepts. */
const maximumAffinitySeconds = 86_400;
const defaultAffinitySeconds = 10_800;

const checkAffinity = (service: Service, report: ReportProblem): number | undefined => {
  const seconds = service.affinitySeconds;
  if (seconds === undefined) return undefined;
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= maximumAffinitySeconds) return seconds;
  const used = seconds > maximumAffinitySeconds ? maximumAffinitySeconds : defaultAffinitySeconds;
  report(
    'InvalidAffinity',
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
    `${seconds} is not between 1 and ${maximumAffinitySeconds}; ${used} is used instead`,
  );
  return used;
};

const checkNodePort = (port: ServicePort, field: string, report: ReportProblem): ServicePort => {
  if (port.nodePort === undefined || isPort(port.nodePort)) return port;
  report(
    'InvalidPort',
    `${field}.nodePort`,
    `${port.nodePort} is not a valid port number; the node port is not served`,
  );
  return { ...port, nodePort: undefined };
};

const checkPorts = (service: Service, report: ReportProblem): readonly ServicePort[] => {
  const byId = new Map<string, ServicePort>();
  for (const [index, port] of service.ports.entries()) {
    const field = `spec.ports[${index}]`;
    if (!isPort(port.port)) {
      report(
        'InvalidPort',
        `${field}.port`,
        `${port.port} is not a valid port number; the port is not served`,
      );
    } else if (protocols.has(port.protocol)) {
      const portId = `${port.protocol} ${port.name}`;
      if (byId.has(portId))
        report('DuplicatePort', `${field}.name`, `${portId} occurs twice; the last one is used`);
      byId.set(portId, checkNodePort(port, field, report));
    } else {
      report(
        'InvalidProtocol',
        `${field}.protocol`,
        `${port.protocol} is not a supported protocol (TCP, UDP or SCTP); the port is not served`,
      );
    }
  }
  return [...byId.values()];
};

const checkSlice = (slice: EndpointSlice, report: ReportProblem): EndpointSlice => {
  const where = `EndpointSlice ${slice.key}`;
  const goodPort = (port: EndpointPort, index: number): boolean => {
    if (isPort(port.port)) return true;
    report(
      'InvalidPort',
      `${where}: ports[${index}].port`,
      `${port.port} is not a valid port number; the port is ignored`,
    );
    return false;
  };
  const goodEndpoint = ({ address }: Endpoint, index: number): boolean => {
    if (familyOf(address) === slice.family && isHostAddress(address)) return true;
    report(
      'InvalidEndpoint',
      `${where}: endpoints[${index}].addresses`,
      `${address} is not a valid ${slice.family} host address; the endpoint is ignored`,
    );
    return false;
  };
  const ports = slice.ports.filter(goodPort);
  const endpoints = slice.endpoints.filter(goodEndpoint);
  return ports.length === slice.ports.length && endpoints.length === slice.endpoints.length
    ? slice
    : { ...slice, ports, endpoints };
};

/** At most so many unknown annotations are named. */
const namedAnnotations = 3;

const checkAnnotationNames = ({ unknownAnnotations = [] }: Service, report: ReportProblem): void => {
  for (const name of unknownAnnotations.slice(0, namedAnnotations)) {
    const known = serviceAnnotationNames.join(', ');
    report(
      'UnknownAnnotation',
      annotationField(shorten(name)),
      name === 'weight'
        ? 'has no effect on a Service; annotate its pods, and the Service with weight-by: pod'
        : `is unknown and has no effect (known: ${known})`,
    );
  }
};

/**
 * Removes values that the kernel would reject from a Service and its slices, and reports them. The rest of
 * the Service is served. `lastValid`: the annotations in force until now.
 */
export const checkService = (
  service: Service,
  slices: readonly EndpointSlice[],
  defaults: SettingDefaults,
  lastValid: ServiceAnnotations,
): ServiceCheckResult => {
  const problems: Problem[] = [];
  const report: ReportProblem = (reason, field, message) =>
    problems.push({ service: service.key, reason, message: `${service.key}: ${field}: ${message}` });
  const served: Service = {
    ...service,
    ports: checkPorts(service, report),
    affinitySeconds: checkAffinity(service, report),
  };
  const reader = new AnnotationReader(service.annotations, lastValid, report);
  checkAnnotationNames(service, report);
  const settings = effectiveSettings(served, reader, defaults);
  return {
    checked: { ...served, settings },
    slices: slices.map((slice) => checkSlice(slice, report)),
    problems,
    validAnnotations: reader.valid,
  };
};
