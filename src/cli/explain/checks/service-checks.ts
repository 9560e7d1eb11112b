import type { ServiceResponse, ServiceReportResponse } from '../../../admin-api/responses.js';
import type { ServiceSettingResponse } from '../../../admin-api/service-setting.js';
import { formatColumns } from '../../output/columns.js';
import { advise } from '../../../doctor/remedy.js';
import { servicePortText } from '../../admin/service-index.js';
import { fail, note, warn, type ReportCheck, type CheckLine, type ReportFacts } from '../facts.js';

const left = (title: string) => ({ title, align: 'left' }) as const;

/** Names and values in two columns. */
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

const settingOrigins: Readonly<Record<ServiceSettingResponse['from'], string>> = {
  annotation: 'by annotation',
  'earlier-annotation': 'the last valid annotation',
  configuration: 'by default (services in the configuration)',
};

/** An older daemon reports the scheduler alone. */
const settingRows = ({ settings, scheduler }: ServiceResponse): readonly (readonly [string, string])[] => {
  if (settings === undefined)
    return optional('scheduler', scheduler === undefined ? [] : [`${scheduler}, by annotation`]);
  return Object.entries(settings).map(([name, { value, from }]) => [
    name.replaceAll('-', ' '),
    `${value === '' ? 'none' : value}, ${settingOrigins[from]}`,
  ]);
};

/** The scheduler that the Service, or the configuration for it, chooses; of a wrong annotation, the last valid one. */
const chosenScheduler = (
  { settings, scheduler }: ServiceResponse,
  configured: string | undefined,
): string | undefined => settings?.['scheduler']?.value ?? scheduler ?? configured;

/** Weights, and the scheduler that is used because the chosen one ignores them. */
const weightsText = (
  { service, virtualServers }: ServiceReportResponse,
  configured: string | undefined,
): string => {
  const chosen = chosenScheduler(service, configured);
  const others = virtualServers.flatMap(({ wanted }) =>
    wanted === undefined || wanted.scheduler === chosen ? [] : [wanted.scheduler],
  );
  const [other] = others;
  return `by ${service.weightBy}${
    other === undefined || chosen === undefined
      ? ''
      : `; ${other} instead of ${chosen}, which ignores weights`
  }`;
};

const serviceSummary = ({ service, status }: ReportFacts): readonly CheckLine[] => {
  if (service === undefined) return [];
  const { service: api } = service;
  const rows: readonly (readonly [string, string])[] = [
    ...optional('ClusterIP', api.clusterIps),
    ...optional('external IP', api.externalIps),
    ...optional('load balancer', api.loadBalancerIps),
    ...optional('source ranges', api.loadBalancerSourceRanges),
    ...api.ports.map((port, index): readonly [string, string] => [
      index === 0 ? 'ports' : '',
      portText(port),
    ]),
    ['traffic policy', policiesText(api)],
    ...optional('affinity', api.affinitySeconds === undefined ? [] : [`by client, ${api.affinitySeconds} s`]),
    ...settingRows(api),
    ...optional(
      'weights',
      api.weightBy === undefined
        ? []
        : [weightsText(service, 'value' in status ? status.value.scheduler : undefined)],
    ),
    ...optional(
      'health checks',
      api.healthCheckNodePort === undefined ? [] : [`on port ${api.healthCheckNodePort}`],
    ),
  ];
  // Manifests have no creation time.
  const since = Date.parse(api.createdAt) === 0 ? '' : `, since ${api.createdAt.slice(0, 10)}`;
  return [note(`${api.name}, ${api.type}${since}`, pairs(rows))];
};

const unclaimedTarget = ({ service, status, target }: ReportFacts): readonly CheckLine[] => {
  if (service !== undefined) return [];
  if ('value' in status)
    return [
      note(`no Service that kube-ipvs serves requests ${target}: another program created what is there`),
    ];
  return [warn(`Services are unknown without the daemon: ${status.unavailable}`, status.remedies)];
};

const problems = ({ service }: ReportFacts): readonly CheckLine[] =>
  (service?.problems ?? []).map(({ reason, message }) =>
    warn(`${reason}: ${message}`, [
      advise(
        'Read the Events of the Service.',
        `kubectl -n ${namespaceOf(service?.service.name)} describe service ${nameOf(service?.service.name)}`,
      ),
    ]),
  );

const namespaceOf = (key: string | undefined): string => key?.split('/')[0] ?? '';
const nameOf = (key: string | undefined): string => key?.split('/')[1] ?? '';

const takenByOlderService = ({ served, service }: ReportFacts): readonly CheckLine[] => {
  const conflicting = served.filter(({ wanted }) => wanted === undefined);
  return conflicting.map(({ key }) =>
    fail(
      `an older Service has ${key}`,
      [
        advise('Find the other Service.', `kube-ipvs explain '${key}'`),
        advise('Give one of the two Services another address or port.'),
      ],
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
        `this node serves ${name}, but not ${target}`,
        [advise('Show what it serves.', `kube-ipvs explain ${name}`)],
        servedAddresses(service),
      ),
    ];
  if (Object.keys(service.lingering).length > 0) return [];
  return [
    fail(`this node serves no port of ${name}`, [
      advise('Check the Service.', `kubectl -n ${namespaceOf(name)} get service ${nameOf(name)} -o yaml`),
    ]),
  ];
};

export const serviceChecks: readonly ReportCheck[] = [
  { id: 'service', title: 'the Service as kube-ipvs reads it', check: serviceSummary },
  { id: 'unasked', title: 'whether a Service requests the target', check: unclaimedTarget },
  { id: 'unserved', title: 'whether this node serves the target', check: unservedTarget },
  {
    id: 'taken',
    title: 'whether an older Service has the same address and port',
    check: takenByOlderService,
  },
  { id: 'problems', title: 'why parts of the Service cannot be served as requested', check: problems },
];
