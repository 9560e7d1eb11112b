import type { EndpointSelectionResponse } from '../../../admin-api/endpoint-response.js';
import type { PaceResponse } from '../../../admin-api/real-server-state.js';
import type { RealServerDescription } from '../../../admin-api/responses.js';
import { familyOf, parseIp } from '../../../base/ip.js';
import { familyOfServer, protocolOfServer } from '../../../model/virtual-server.js';
import { formatCount } from '../../../base/text.js';
import { advise } from '../../../doctor/remedy.js';
import type { Remedy } from '../../../doctor/remedy.js';
import { formatColumns } from '../../output/columns.js';
import { realServerStateText, weightReasonText } from '../../admin/service-index.js';
import {
  fail,
  note,
  ok,
  warn,
  type ReportCheck,
  type CheckLine,
  type ReportFacts,
  type ServedVirtualServer,
  type ServiceEndpoint,
} from '../facts.js';

const reasons: Readonly<Record<EndpointSelectionResponse['reason'], string>> = {
  ready: 'ready',
  'hinted-for-node': 'ready, hinted for this node',
  'hinted-for-zone': 'ready, hinted for this zone',
  'last-resort': 'terminating, used because no endpoint is ready',
  'not-ready': 'not ready',
  terminating: 'terminating',
  'on-another-node': 'on another node',
  'hinted-for-other-nodes': 'hinted for other nodes',
  'hinted-for-other-zones': 'hinted for other zones',
};

/** At most this many endpoints of a port are listed. */
const maximumEndpoints = 12;

type Policy = 'Cluster' | 'Local';

const verdictOf = (endpoint: ServiceEndpoint, policy: Policy): EndpointSelectionResponse =>
  policy === 'Local' ? endpoint.local : endpoint.cluster;

/** An endpoint of weight 0 is used, but gets no new connections. */
const getsConnections = (endpoint: ServiceEndpoint, policy: Policy): boolean =>
  verdictOf(endpoint, policy).used && endpoint.weight !== 0;

const baseName = (name: string | undefined): string => name?.split('/')[1] ?? '';

/** The reason for each traffic policy that applies. */
const reasonText = (endpoint: ServiceEndpoint, policies: readonly Policy[]): string => {
  const texts = policies.map((policy) => reasons[verdictOf(endpoint, policy).reason]);
  const [first = ''] = texts;
  const selection =
    new Set(texts).size === 1
      ? first
      : policies.map((policy, index) => `${policy}: ${texts[index]}`).join('; ');
  return endpoint.weight === undefined
    ? selection
    : `${selection}; weight ${endpoint.weight}: ${weightReasonText(endpoint)}`;
};

const signOf = (endpoint: ServiceEndpoint, policies: readonly Policy[]): string => {
  const used = policies.filter((policy) => getsConnections(endpoint, policy));
  if (used.length === 0) return 'out';
  return used.length === policies.length ? 'in' : 'in*';
};

const locationColumns = ({ pod, node, zone }: ServiceEndpoint): readonly string[] => [
  baseName(pod),
  [node ?? '', zone === undefined ? '' : `zone ${zone}`].filter((part) => part !== '').join(', '),
];

/** Rows of a wider table take two lines. */
const maximumTableWidth = 74;

const formatRows = (rows: readonly (readonly string[])[]): readonly string[] =>
  formatColumns(
    (rows[0] ?? []).map(() => ({ title: '', align: 'left' })),
    rows,
    { titles: false },
  )
    .trimEnd()
    .split('\n');

/** Unused endpoints come first: users look for them. */
const tableOf = (endpoints: readonly ServiceEndpoint[], policies: readonly Policy[]): readonly string[] => {
  const isOut = (endpoint: ServiceEndpoint): boolean => signOf(endpoint, policies) === 'out';
  const ordered = [...endpoints.filter(isOut), ...endpoints.filter((endpoint) => !isOut(endpoint))];
  const shown = ordered.slice(0, maximumEndpoints);
  const head = (endpoint: ServiceEndpoint): readonly string[] => [
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

/** A port of the Service in one family, with its virtual servers. */
interface PortGroup {
  readonly label: string;
  readonly served: readonly ServedVirtualServer[];
  readonly endpoints: readonly ServiceEndpoint[];
  readonly policies: readonly Policy[];
}

/** Only an orphaned virtual server has no port. */
const portName = ({ port }: ServedVirtualServer): string => port?.name ?? '';

const labelOf = (served: ServedVirtualServer): string => {
  const { identity, port } = served;
  const name = portName(served) === '' ? port?.port : portName(served);
  return `${name}/${protocolOfServer(identity)}${familyOfServer(identity) === 'IPv6' ? ' IPv6' : ''}`;
};

const isEndpointOf = ({ port, protocol, address }: ServiceEndpoint, served: ServedVirtualServer): boolean =>
  port === portName(served) &&
  protocol === protocolOfServer(served.identity) &&
  familyOf(address) === familyOfServer(served.identity);

const groupsOf = ({ served, endpoints }: ReportFacts): readonly PortGroup[] =>
  [...new Set(served.map(labelOf))].map((label) => {
    const members = served.filter((one) => labelOf(one) === label);
    const [first] = members;
    return {
      label,
      served: members,
      endpoints: endpoints.filter((endpoint) => first !== undefined && isEndpointOf(endpoint, first)),
      policies: (['Cluster', 'Local'] as const).filter((policy) =>
        members.some((member) => member.policy === policy),
      ),
    };
  });

const describePod = ({ service }: ReportFacts, pod: string | undefined): Remedy => {
  const [namespace = '', name = ''] = service?.service.name.split('/') ?? [];
  return pod === undefined
    ? advise(
        'List the EndpointSlices of the Service.',
        `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`,
      )
    : advise('Find out why the pod is not ready.', `kubectl -n ${namespace} describe pod ${baseName(pod)}`);
};

const noEndpointsLine = (facts: ReportFacts, { label }: PortGroup): CheckLine => {
  const slices = facts.service?.slices.length ?? 0;
  return fail(
    `${label}: no endpoints, every connection is refused` +
      (slices === 0 ? '; the Service has no EndpointSlice' : ''),
    [
      advise('Check that the selector matches pods and that they have the port.'),
      describePod(facts, undefined),
    ],
  );
};

const localTexts = (group: PortGroup): string =>
  group.served.some(({ policy, frontend }) => policy === 'Local' && frontend === 'ClusterIP')
    ? 'the ClusterIP refuses connections on this node (internalTrafficPolicy Local)'
    : 'this node drops connections from outside the cluster, and load balancers use other nodes (externalTrafficPolicy Local)';

const noLocalEndpointText = (endpoints: readonly ServiceEndpoint[]): string =>
  endpoints.every(({ local }) => local.reason === 'on-another-node')
    ? 'no endpoint is on this node'
    : 'no endpoint on this node is ready';

const portGroupLine = (facts: ReportFacts, group: PortGroup): CheckLine => {
  const { label, endpoints, policies } = group;
  if (endpoints.length === 0) return noEndpointsLine(facts, group);
  const usedBy = (policy: Policy) => endpoints.filter((endpoint) => getsConnections(endpoint, policy));
  const used = endpoints.filter((endpoint) => policies.some((policy) => getsConnections(endpoint, policy)));
  const details = tableOf(endpoints, policies);
  const text = `${label}: ${used.length} of ${formatCount(endpoints.length, 'endpoint')} ${used.length === 1 ? 'gets' : 'get'} connections`;
  const [first] = endpoints.filter((endpoint) => !endpoint.ready);
  if (used.length === 0 && endpoints.some(({ weight }) => weight === 0))
    return fail(
      `${label}: no endpoint that could be used has a weight above 0, every connection is refused`,
      [advise('Check the annotation ipvs.kube-ipvs.dev/weight of the pods.')],
      details,
    );
  if (used.length === 0 && endpoints.some(({ ready }) => ready))
    return warn(
      `${label}: ${noLocalEndpointText(endpoints)}; ${localTexts(group)}`,
      [advise('Connect to a node with endpoints, or set the traffic policy to Cluster.')],
      details,
    );
  if (used.length === 0)
    return fail(
      `${label}: ${endpoints.length === 1 ? 'the only endpoint is not ready' : `none of ${endpoints.length} endpoints is ready`}, every connection is refused`,
      [describePod(facts, first?.pod)],
      details,
    );
  if (policies.includes('Local') && usedBy('Local').length === 0)
    return warn(
      `${text}, none of them on this node: ${localTexts(group)}`,
      [advise('If load balancers check the health of nodes, no action is needed.')],
      details,
    );
  return used.every(({ ready }) => !ready)
    ? warn(
        `${text}: no endpoint is ready, and terminating endpoints are used as a last resort`,
        [describePod(facts, first?.pod)],
        details,
      )
    : ok(text, details);
};

const endpoints = (facts: ReportFacts): readonly CheckLine[] =>
  groupsOf(facts).map((group) => portGroupLine(facts, group));

type RealServerState = RealServerDescription['state'] | PaceResponse['kind'];

const rowsInState = (
  { key, realServers }: ServedVirtualServer,
  wanted: RealServerState,
): readonly (readonly string[])[] =>
  Object.entries(realServers)
    .filter(([, { state, pace }]) => (pace?.kind ?? state) === wanted)
    .map(([realServer, names]: readonly [string, RealServerDescription]) => [
      realServer,
      baseName(names.pod),
      realServerStateText(names),
      key,
    ]);

/** A line with the real servers in a state, such as `2 real servers are draining: …`. */
const realServersIn =
  (state: RealServerState, consequence: string): ReportCheck['check'] =>
  ({ served }) => {
    const rows = served.flatMap((each) => rowsInState(each, state));
    if (rows.length === 0) return [];
    return [
      note(
        `${formatCount(rows.length, 'real server')} ${rows.length === 1 ? 'is' : 'are'} ${state}: ${consequence}`,
        formatRows(rows.slice(0, maximumEndpoints)),
      ),
    ];
  };

const draining = realServersIn('draining', 'open connections continue, new ones go elsewhere');
const pace: ReportCheck['check'] = (facts) => [
  ...realServersIn('climbing', 'they are new, and get a growing share of connections')(facts),
  ...realServersIn('quarantined', 'they did not answer, and get no new connections for a while')(facts),
];

/** Whether an endpoint is the target: by the name of its pod, its address, or its address and port. */
const isTarget = ({ pod: name, realServer, address }: ServiceEndpoint, target: string): boolean =>
  name === target || realServer === target || address === parseIp(target);

/** Whether one of the virtual servers gives it no new connections for a while. */
const isQuarantined = ({ realServer }: ServiceEndpoint, { served }: ReportFacts): boolean =>
  served.some(({ realServers }) => realServers[realServer]?.pace?.kind === 'quarantined');

/** The endpoints of the pod that is the target. */
const pod = (facts: ReportFacts): readonly CheckLine[] => {
  const { pod: target } = facts;
  if (target === undefined) return [];
  return groupsOf(facts).flatMap(({ label, endpoints: all, policies }) =>
    all
      .filter((endpoint) => isTarget(endpoint, target))
      .map((endpoint) => {
        if (isQuarantined(endpoint, facts))
          return warn(
            `${label}: ${endpoint.realServer} gets no new connections for a while: it did not answer`,
            [describePod(facts, endpoint.pod)],
          );
        return policies.some((policy) => verdictOf(endpoint, policy).used)
          ? ok(`${label}: ${endpoint.realServer} gets connections: ${reasonText(endpoint, policies)}`)
          : fail(`${label}: ${endpoint.realServer} gets no connections: ${reasonText(endpoint, policies)}`, [
              endpoint.ready
                ? advise('Check the traffic policies, trafficDistribution and topology hints of the Service.')
                : describePod(facts, endpoint.pod),
            ]);
      }),
  );
};

export const endpointChecks: readonly ReportCheck[] = [
  { id: 'pod', title: 'whether the target pod gets connections', check: pod },
  {
    id: 'endpoints',
    title: 'which endpoints get connections on this node, and why others do not',
    check: endpoints,
  },
  { id: 'draining', title: 'draining real servers', check: draining },
  { id: 'pace', title: 'real servers without their full weight', check: pace },
];
