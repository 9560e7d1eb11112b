import type {
  ServedVirtualServerResponse,
  ServiceResponse,
  ServiceReportResponse,
} from '../../../admin-api/responses.js';
import { formatColumns } from '../../output/columns.js';
import { servicePortText } from '../../admin/service-index.js';
import { fail, note, warn, type ReportCheck, type CheckLine, type ReportFacts } from '../facts.js';

const left = (title: string) => ({ title, align: 'left' }) as const;

/** Names and values below each other. */
const pairs = (rows: readonly (readonly [string, string])[]): readonly string[] =>
  formatColumns([left(''), left('')], rows, { titles: false })
    .trimEnd()
    .split('\n');

const portText = ({ name, protocol, port, nodePort }: ServiceResponse['ports'][number]): string =>
  `${name === '' ? '' : `${name} `}${port}/${protocol}${nodePort === undefined ? '' : `, node port ${nodePort}`}`;

const policiesText = (service: ServiceResponse): string =>
  service.type === 'ClusterIP' && service.externalIps.length === 0
    ? `internal ${service.internalTrafficPolicy}`
    : `internal ${service.internalTrafficPolicy}, external ${service.externalTrafficPolicy}`;

const optional = (name: string, values: readonly string[]): readonly (readonly [string, string])[] =>
  values.length === 0 ? [] : [[name, values.join(', ')]];

const serviceSummary = ({ service }: ReportFacts): readonly CheckLine[] => {
  if (service === undefined) return [];
  const { service: api } = service;
  const rows: readonly (readonly [string, string])[] = [
    ...optional('ClusterIP', api.clusterIps),
    ...optional('external IP', api.externalIps),
    ...optional('load balancer', api.loadBalancerIps),
    ...optional('only from', api.loadBalancerSourceRanges),
    ...api.ports.map((port, index): readonly [string, string] => [
      index === 0 ? 'ports' : '',
      portText(port),
    ]),
    ['traffic policy', policiesText(api)],
    ...optional('affinity', api.affinitySeconds === undefined ? [] : [`by client, ${api.affinitySeconds} s`]),
    ...optional('scheduler', api.scheduler === undefined ? [] : [`${api.scheduler}, by annotation`]),
    ...optional(
      'health checks',
      api.healthCheckNodePort === undefined ? [] : [`on port ${api.healthCheckNodePort}`],
    ),
  ];
  // Manifests do not say when.
  const since = Date.parse(api.createdAt) === 0 ? '' : `, since ${api.createdAt.slice(0, 10)}`;
  return [note(`Service ${api.name}, ${api.type}${since}`, pairs(rows))];
};

const unclaimedTarget = ({ service, status, target }: ReportFacts): readonly CheckLine[] => {
  if (service !== undefined) return [];
  if ('value' in status)
    return [
      note(
        `no Service that kube-ipvs serves asks for ${target}: whoever made what is there, it was not kube-ipvs`,
      ),
    ];
  return [
    warn(
      `without a daemon nothing is known of Services: ${status.unavailable}`,
      'start kube-ipvs, or ask in its pod:; kubectl -n kube-system exec POD -- kube-ipvs explain TARGET',
    ),
  ];
};

const problems = ({ service }: ReportFacts): readonly CheckLine[] =>
  (service?.problems ?? []).map(({ reason, message }) =>
    warn(
      `${reason}: ${message}`,
      `kubectl -n ${namespaceOf(service?.service.name)} describe service ${nameOf(service?.service.name)}`,
    ),
  );

const namespaceOf = (key: string | undefined): string => key?.split('/')[0] ?? '';
const nameOf = (key: string | undefined): string => key?.split('/')[1] ?? '';

const takenByOlderService = ({ served, service }: ReportFacts): readonly CheckLine[] => {
  const conflicting = served.filter(({ wanted }: ServedVirtualServerResponse) => wanted === undefined);
  return conflicting.map(({ key }) =>
    fail(
      `${key} is another, older Service's`,
      `give one of the two another address or port; whose it is tells; kube-ipvs explain '${key}'`,
      service?.problems.map(({ message }) => message),
    ),
  );
};

const servedAddresses = ({ virtualServers }: ServiceReportResponse): readonly string[] =>
  virtualServers.slice(0, 10).map((served) => `${served.key} ${served.frontend} ${servicePortText(served)}`);

const unservedTarget = ({ served, service, target }: ReportFacts): readonly CheckLine[] => {
  if (service === undefined || served.length > 0) return [];
  const { name } = service.service;
  if (service.virtualServers.length > 0)
    return [
      fail(
        `${name} is served on this node, but not ${target}`,
        `what is; kube-ipvs explain ${name}`,
        servedAddresses(service),
      ),
    ];
  if (Object.keys(service.lingering).length > 0) return [];
  return [
    fail(
      `nothing of ${name} is served on this node`,
      `kubectl -n ${namespaceOf(name)} get service ${nameOf(name)} -o yaml`,
    ),
  ];
};

export const serviceChecks: readonly ReportCheck[] = [
  { id: 'service', title: 'the Service as it was understood', check: serviceSummary },
  { id: 'unasked', title: 'whether any Service asks for the target', check: unclaimedTarget },
  { id: 'unserved', title: 'whether anything of it is served on this node', check: unservedTarget },
  {
    id: 'taken',
    title: 'whether an older Service has the same address and port',
    check: takenByOlderService,
  },
  { id: 'problems', title: 'what keeps parts of the Service from being served as it asks', check: problems },
];
