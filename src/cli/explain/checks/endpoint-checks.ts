import type {
  EndpointResponse,
  RealServerDescription,
  ServedVirtualServerResponse,
  EndpointSelectionResponse,
} from '../../../admin-api/responses.js';
import { parseIp } from '../../../base/ip.js';
import { formatCount } from '../../../base/text.js';
import { parseAddressTarget } from '../../target/target.js';
import { formatColumns } from '../../output/columns.js';
import { realServerStateText } from '../../admin/service-index.js';
import { fail, note, ok, warn, type ReportCheck, type CheckLine, type ReportFacts } from '../facts.js';

const reasons: Readonly<Record<EndpointSelectionResponse['reason'], string>> = {
  ready: 'ready',
  'hinted-for-node': 'ready, hinted for this node',
  'hinted-for-zone': 'ready, hinted for this zone',
  'last-resort': 'terminating, but none is ready',
  'not-ready': 'not ready',
  terminating: 'terminating',
  'on-another-node': 'on another node',
  'hinted-for-other-nodes': 'hinted for other nodes',
  'hinted-for-other-zones': 'hinted for other zones',
};

/** So many endpoints of a port are told one by one. */
const maximumEndpoints = 12;

type Policy = 'Cluster' | 'Local';

const verdictOf = (endpoint: EndpointResponse, policy: Policy): EndpointSelectionResponse =>
  policy === 'Local' ? endpoint.local : endpoint.cluster;

const baseName = (name: string | undefined): string => name?.split('/')[1] ?? '';

/** Why, by each policy that counts here. */
const reasonText = (endpoint: EndpointResponse, policies: readonly Policy[]): string => {
  const texts = policies.map((policy) => reasons[verdictOf(endpoint, policy).reason]);
  const [first = ''] = texts;
  return new Set(texts).size === 1
    ? first
    : policies.map((policy, index) => `${policy}: ${texts[index]}`).join('; ');
};

const signOf = (endpoint: EndpointResponse, policies: readonly Policy[]): string => {
  const used = policies.filter((policy) => verdictOf(endpoint, policy).used);
  if (used.length === 0) return 'out';
  return used.length === policies.length ? 'in' : 'in*';
};

const locationColumns = ({ pod, node, zone }: EndpointResponse): readonly string[] => [
  baseName(pod),
  [node ?? '', zone === undefined ? '' : `zone ${zone}`].filter((part) => part !== '').join(', '),
];

/** So wide a table may be before its rows take two lines. */
const maximumTableWidth = 74;

const formatRows = (rows: readonly (readonly string[])[]): readonly string[] =>
  formatColumns(
    (rows[0] ?? []).map(() => ({ title: '', align: 'left' })),
    rows,
    { titles: false },
  )
    .trimEnd()
    .split('\n');

/** Those that are out first: they are what is asked about. */
const tableOf = (endpoints: readonly EndpointResponse[], policies: readonly Policy[]): readonly string[] => {
  const isOut = (endpoint: EndpointResponse): boolean => signOf(endpoint, policies) === 'out';
  const ordered = [...endpoints.filter(isOut), ...endpoints.filter((endpoint) => !isOut(endpoint))];
  const shown = ordered.slice(0, maximumEndpoints);
  const head = (endpoint: EndpointResponse): readonly string[] => [
    signOf(endpoint, policies),
    endpoint.realServer,
  ];
  const rows = formatRows(
    shown.map((endpoint) => [
      ...head(endpoint),
      ...locationColumns(endpoint),
      reasonText(endpoint, policies),
    ]),
  );
  const places = shown.map(locationColumns);
  const lines = rows.every((row) => row.length <= maximumTableWidth)
    ? rows
    : formatRows(shown.map((endpoint) => [...head(endpoint), reasonText(endpoint, policies)])).flatMap(
        (row, index) => [
          row,
          `       ${(places[index] ?? []).filter((part) => part !== '').join('  ')}`.trimEnd(),
        ],
      );
  const more = ordered.length - shown.length;
  return [...lines.filter((line) => line !== ''), ...(more > 0 ? [`and ${more} more`] : [])];
};

const familyOfKey = (key: string): string => (key.includes('[') ? 'IPv6' : 'IPv4');

/** A port of the Service in one family, with what is served of it. */
interface PortGroup {
  readonly label: string;
  readonly served: readonly ServedVirtualServerResponse[];
  readonly endpoints: readonly EndpointResponse[];
  readonly policies: readonly Policy[];
}

const protocolOf = (key: string): string => key.split(' ')[0] ?? '';

/** What a Service asks for has a port; only what lingers has none. */
const portName = ({ port }: ServedVirtualServerResponse): string => port?.name ?? '';

const labelOf = (served: ServedVirtualServerResponse): string => {
  const { key, port } = served;
  return `${portName(served) === '' ? port?.port : portName(served)}/${protocolOf(key)}${familyOfKey(key) === 'IPv6' ? ' IPv6' : ''}`;
};

const groupsOf = ({ service, served }: ReportFacts): readonly PortGroup[] =>
  [...new Set(served.map(labelOf))].map((label) => {
    const members = served.filter((one) => labelOf(one) === label);
    const [first] = members;
    const { key = '' } = first ?? {};
    return {
      label,
      served: members,
      endpoints: (service?.endpoints ?? []).filter(
        (endpoint) =>
          first !== undefined &&
          endpoint.port === portName(first) &&
          endpoint.protocol === protocolOf(key) &&
          familyOfKey(endpoint.realServer) === familyOfKey(key),
      ),
      policies: (['Cluster', 'Local'] as const).filter((policy) =>
        members.some((member) => member.policy === policy),
      ),
    };
  });

const describeCommand = ({ service }: ReportFacts, pod: string | undefined): string => {
  const [namespace = '', name = ''] = service?.service.name.split('/') ?? [];
  return pod === undefined
    ? `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`
    : `kubectl -n ${namespace} describe pod ${baseName(pod)}`;
};

const noEndpointsLine = (facts: ReportFacts, { label }: PortGroup): CheckLine => {
  const slices = facts.service?.slices.length ?? 0;
  return fail(
    `${label}: there are no endpoints, so that every connection is refused` +
      (slices === 0 ? '; the Service has no EndpointSlice' : ''),
    `does the selector match pods, and do they have the port?; ${describeCommand(facts, undefined)}`,
  );
};

const localTexts = (group: PortGroup): string =>
  group.served.some(({ policy, frontend }) => policy === 'Local' && frontend === 'ClusterIP')
    ? 'the ClusterIP refuses here (internalTrafficPolicy Local)'
    : 'requests from outside are dropped here, so that load balancers go to other nodes (externalTrafficPolicy Local)';

const noLocalEndpointText = (endpoints: readonly EndpointResponse[]): string =>
  endpoints.every(({ local }) => local.reason === 'on-another-node')
    ? 'no endpoint is on this node'
    : 'no endpoint on this node is ready';

const portGroupLine = (facts: ReportFacts, group: PortGroup): CheckLine => {
  const { label, endpoints, policies } = group;
  if (endpoints.length === 0) return noEndpointsLine(facts, group);
  const usedBy = (policy: Policy) => endpoints.filter((endpoint) => verdictOf(endpoint, policy).used);
  const used = endpoints.filter((endpoint) => policies.some((policy) => verdictOf(endpoint, policy).used));
  const details = tableOf(endpoints, policies);
  const text = `${label}: ${used.length} of ${formatCount(endpoints.length, 'endpoint')} ${used.length === 1 ? 'gets' : 'get'} connections`;
  const [first] = endpoints.filter((endpoint) => !endpoint.ready);
  if (used.length === 0 && endpoints.some(({ ready }) => ready))
    return warn(
      `${label}: ${noLocalEndpointText(endpoints)}; ${localTexts(group)}`,
      'ask a node that has endpoints, or set the policy to Cluster',
      details,
    );
  if (used.length === 0)
    return fail(
      `${label}: ${endpoints.length === 1 ? 'the only endpoint is not ready' : `none of ${endpoints.length} endpoints is ready`}, so that every connection is refused`,
      describeCommand(facts, first?.pod),
      details,
    );
  if (policies.includes('Local') && usedBy('Local').length === 0)
    return warn(
      `${text}, none of them on this node: ${localTexts(group)}`,
      'nothing, where load balancers check the health of nodes',
      details,
    );
  return used.every(({ ready }) => !ready)
    ? warn(
        `${text}: none is ready, those that terminate are the last resort`,
        describeCommand(facts, first?.pod),
        details,
      )
    : ok(text, details);
};

const endpoints = (facts: ReportFacts): readonly CheckLine[] =>
  groupsOf(facts).map((group) => portGroupLine(facts, group));

const drainingOf = ({ key, realServers }: ServedVirtualServerResponse): readonly (readonly string[])[] =>
  Object.entries(realServers)
    .filter(([, { state }]) => state === 'draining')
    .map(([realServer, names]: readonly [string, RealServerDescription]) => [
      realServer,
      baseName(names.pod),
      realServerStateText(names),
      key,
    ]);

const draining = ({ served }: ReportFacts): readonly CheckLine[] => {
  const rows = served.flatMap(drainingOf);
  if (rows.length === 0) return [];
  return [
    note(
      `${formatCount(rows.length, 'real server')} ${rows.length === 1 ? 'drains' : 'drain'}: nothing new goes there, open connections go on`,
      formatRows(rows.slice(0, maximumEndpoints)),
    ),
  ];
};

/** Whether an endpoint is the pod that was asked for: by name, by address, or by address and port. */
const isPod = ({ pod: name, realServer }: EndpointResponse, asked: string): boolean =>
  name === asked || realServer === asked || parseAddressTarget(realServer)?.address === parseIp(asked);

/** What became of the pod that was asked for. */
const pod = (facts: ReportFacts): readonly CheckLine[] => {
  const { pod: asked } = facts;
  if (asked === undefined) return [];
  return groupsOf(facts).flatMap(({ label, endpoints: all, policies }) =>
    all
      .filter((endpoint) => isPod(endpoint, asked))
      .map((endpoint) =>
        policies.some((policy) => verdictOf(endpoint, policy).used)
          ? ok(`${label}: ${endpoint.realServer} gets connections: ${reasonText(endpoint, policies)}`)
          : fail(
              `${label}: ${endpoint.realServer} gets no connections: ${reasonText(endpoint, policies)}`,
              endpoint.ready
                ? 'the node is as the policy and hints ask: look at trafficDistribution, topology hints and traffic policies of the Service'
                : describeCommand(facts, endpoint.pod),
            ),
      ),
  );
};

export const endpointChecks: readonly ReportCheck[] = [
  { id: 'pod', title: 'whether the pod that is asked for gets connections', check: pod },
  {
    id: 'endpoints',
    title: 'which endpoints get connections here, and why the others do not',
    check: endpoints,
  },
  { id: 'draining', title: 'real servers that get nothing new', check: draining },
];
