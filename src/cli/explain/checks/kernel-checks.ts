import { parseIp, type IpAddress } from '../../../base/ip.js';
import { formatCount } from '../../../base/text.js';
import { setDeclaration } from '../../../plan/packet-rules/packet-table.js';
import type { ServedVirtualServerResponse, ServiceReportResponse } from '../../../admin-api/responses.js';
import {
  ipvsadmService,
  realServerJson,
  virtualServerSettingsJson,
  type RealServerJson,
  type VirtualServerJson,
} from '../../../plan/output/ipvs-table-formats.js';
import type { KeyValue } from '../../../nftables/declarations.js';
import type { RealServerKey, RealServerObservation } from '../../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../../kernel/kernel-snapshot.js';
import { parseAddressTarget } from '../../target/target.js';
import { schedulerWords } from '../../dump/table-text.js';
import { virtualServerStateText } from '../../admin/service-index.js';
import {
  fail,
  note,
  ok,
  warn,
  type ReportCheck,
  type KernelFacts,
  type CheckLine,
  type ReportFacts,
} from '../facts.js';

const selfRepairRemedy =
  'kube-ipvs puts it right at its next sync (ipvs.syncPeriod); if it comes back, somebody else changes it:; kube-ipvs doctor --only conflicts';

/** The live kernel; [] where nobody may look. */
const ifReadable = (
  { kernel }: ReportFacts,
  describe: (kernel: KernelFacts) => readonly CheckLine[],
): readonly CheckLine[] => ('value' in kernel ? describe(kernel.value) : []);

const access = ({ kernel }: ReportFacts): readonly CheckLine[] =>
  'value' in kernel
    ? []
    : [
        warn(
          `the kernel cannot be read, so that only the daemon's word counts: ${kernel.unavailable}`,
          kernel.remedy,
        ),
      ];

const sum = (entry: ObservedVirtualServer, of: (server: RealServerObservation) => number): number =>
  [...entry.realServers.values()].reduce((total, server) => total + of(server), 0);

const countersText = (entry: ObservedVirtualServer): string => {
  const { statistics } = entry.server;
  const active = sum(entry, (server) => server.activeConnections);
  const inactive = sum(entry, (server) => server.inactiveConnections);
  return `${active} active and ${inactive} inactive connections${statistics === undefined ? '' : `, ${statistics.connections} since it was made`}`;
};

const shape = (entry: ObservedVirtualServer): string =>
  `${schedulerWords(entry.server)}, ${formatCount(entry.realServers.size, 'real server')}`;

/** What the kernel is to have of a virtual server: what is wanted, and what drains. */
const expectedOf = ({
  wanted,
  realServers,
}: ServedVirtualServerResponse): ReadonlyMap<string, RealServerJson | 'draining'> => {
  const expected = new Map<string, RealServerJson | 'draining'>(Object.entries(wanted?.realServers ?? {}));
  for (const [key, { state }] of Object.entries(realServers))
    if (state === 'draining') expected.set(key, 'draining');
  return expected;
};

const differenceOf = (
  key: string,
  expected: RealServerJson | 'draining',
  real: RealServerObservation | undefined,
): readonly string[] => {
  if (real === undefined) return expected === 'draining' ? [] : [`${key} is missing`];
  if (expected === 'draining')
    return real.weight === 0 ? [] : [`${key} drains, but has weight ${real.weight}`];
  const has = realServerJson(real);
  const differing: string[] = [];
  if (has.weight !== expected.weight)
    differing.push(`${key} has weight ${has.weight} instead of ${expected.weight}`);
  // The kernel makes a real server on an address of its own `local`.
  if (has.forwarding !== expected.forwarding && has.forwarding !== 'local')
    differing.push(`${key} has forwarding ${has.forwarding} instead of ${expected.forwarding}`);
  if (has.upperThreshold !== expected.upperThreshold || has.lowerThreshold !== expected.lowerThreshold)
    differing.push(`${key} has other thresholds`);
  return differing;
};

/** Scheduler `sh` has `sh-fallback` for as long as a real server drains, so that nobody is sent there. */
const flagsText = (
  flags: readonly string[],
  { wanted, realServers }: ServedVirtualServerResponse,
): string => {
  const drains = Object.values(realServers).some(({ state }) => state === 'draining');
  const isLent = drains && wanted?.scheduler === 'sh' && wanted.flags?.includes('sh-fallback') !== true;
  return flags.filter((flag) => !(isLent && flag === 'sh-fallback')).join(',') || 'none';
};

const persistenceText = ({
  persistent,
  persistentPrefixLength: length,
}: Pick<VirtualServerJson, 'persistent' | 'persistentPrefixLength'>): string =>
  persistent === undefined ? 'none' : `${persistent} s${length === undefined ? '' : ` by /${length}`}`;

const differences = (
  served: ServedVirtualServerResponse,
  entry: ObservedVirtualServer,
): readonly string[] => {
  const { wanted } = served;
  const { server, realServers } = entry;
  const expected = expectedOf(served);
  const own: string[] = [];
  if (wanted !== undefined && server.scheduler !== wanted.scheduler)
    own.push(`scheduler ${server.scheduler} instead of ${wanted.scheduler}`);
  const [sticks, sticky] = [virtualServerSettingsJson(server), wanted ?? {}].map(persistenceText);
  if (wanted !== undefined && sticks !== sticky) own.push(`persistence ${sticks} instead of ${sticky}`);
  const [has, asked] = [server.flags, wanted?.flags ?? []].map((flags) => flagsText(flags, served));
  if (wanted !== undefined && has !== asked) own.push(`flags ${has} instead of ${asked}`);
  const missing = [...expected].flatMap(([key, real]) =>
    differenceOf(key, real, realServers.get(key as RealServerKey)),
  );
  const unexpected = [...realServers.values()]
    .filter(({ key, weight }) => !expected.has(key) && weight > 0)
    .map(({ key }) => `${key} is there, and nobody asks for it`);
  return [...own, ...missing, ...unexpected];
};

const refusalOf = (service: ServiceReportResponse | undefined, what: string): string | undefined =>
  service?.refused.find((refusal) => refusal.what === what)?.reason;

const foreignServerLine = (
  served: ServedVirtualServerResponse,
  entry: ObservedVirtualServer | undefined,
): CheckLine => {
  const [protocol = '', place = ''] = served.key.split(' ');
  const option = protocol === 'UDP' ? '-u' : protocol === 'TCP' ? '-t' : '--sctp-service';
  const remove = entry === undefined ? `${option} ${place}` : ipvsadmService(entry.server.identity);
  const [namespace = '', name = ''] = (served.service ?? '').split('/');
  return fail(
    `${served.key} was made by somebody else, and kube-ipvs leaves it alone` +
      (entry === undefined ? '' : ` (${shape(entry)})`),
    `stop whoever made it, then; ipvsadm -D ${remove}; or let kube-ipvs take it over:; kubectl -n ${namespace} annotate service ${name} ipvs.kube-ipvs.dev/take-over-foreign=true`,
  );
};

const servedLine = (
  facts: ReportFacts,
  kernel: KernelFacts,
  served: ServedVirtualServerResponse,
): CheckLine => {
  const entry = kernel.virtualServers.get(served.key);
  const name = `${served.key} (${served.frontend})`;
  if (served.contested === true) return foreignServerLine(served, entry);
  if (entry === undefined) {
    const reason = refusalOf(facts.service, served.key);
    return fail(
      `${name} is not in the kernel${reason === undefined ? '' : `: it refused kube-ipvs, ${reason}`}`,
      reason === undefined
        ? selfRepairRemedy
        : 'kube-ipvs tries again by itself; what the kernel lacks tells; kube-ipvs doctor',
    );
  }
  const wrong = differences(served, entry);
  if (wrong.length > 0)
    return fail(
      `${name} is not as kube-ipvs wants it: ${formatCount(wrong.length, 'difference')}`,
      selfRepairRemedy,
      wrong.slice(0, 10),
    );
  const noOne = entry.realServers.size === 0 ? ', which means that it refuses' : '';
  return ok(`${name}: ${shape(entry)}${noOne}`, [countersText(entry)]);
};

/** Virtual servers, where nobody tells whose they are. */
const unclaimedServers = (facts: ReportFacts, kernel: KernelFacts): readonly CheckLine[] => {
  const unserved = [...kernel.virtualServers].filter(
    ([key]) => !facts.served.some((served) => served.key === key),
  );
  const isUnclaimed = facts.service === undefined;
  if (isUnclaimed && unserved.length === 0)
    return [fail(`IPVS has no virtual server at ${facts.target}`, 'what there is shows; kube-ipvs dump')];
  return isUnclaimed
    ? unserved.map(([key, entry]) =>
        note(`${key}: ${shape(entry)}`, [
          ...[...entry.realServers.values()]
            .slice(0, 12)
            .map(
              (real) =>
                `→ ${real.key}  weight ${real.weight}  ${real.activeConnections} active, ${real.inactiveConnections} inactive`,
            ),
          countersText(entry),
        ]),
      )
    : [];
};

const virtualServers = (facts: ReportFacts): readonly CheckLine[] =>
  ifReadable(facts, (kernel) => [
    ...facts.served
      .filter(({ wanted }) => wanted !== undefined)
      .map((served) => servedLine(facts, kernel, served)),
    ...unclaimedServers(facts, kernel),
  ]);

/** The addresses on kube-ipvs0 that the target means. */
const targetAddresses = ({ service, served }: ReportFacts): readonly IpAddress[] => {
  const targeted = new Set(served.map(({ key }) => parseAddressTarget(key.split(' ')[1] ?? '')?.address));
  return (service?.addresses ?? [])
    .flatMap(({ address }) => parseIp(address) ?? [])
    .filter((address) => targeted.has(address));
};

const addresses = (facts: ReportFacts): readonly CheckLine[] =>
  ifReadable(facts, ({ dummyAddresses }) => {
    const expected = targetAddresses(facts);
    if (expected.length === 0) return [];
    const missing = expected.filter((address) => !dummyAddresses.has(address));
    if (missing.length === 0)
      return [
        ok(`kube-ipvs0 has ${expected.length === 1 ? expected[0] : `all ${expected.length} addresses`}`),
      ];
    return missing.map((address) => {
      const reason = refusalOf(facts.service, address);
      const isOurs = facts.served.some(
        ({ key, contested }) =>
          contested !== true && parseAddressTarget(key.split(' ')[1] ?? '')?.address === address,
      );
      return isOurs
        ? fail(
            `${address} is not on kube-ipvs0: packets to it never meet IPVS${reason === undefined ? '' : `; the kernel refused it, ${reason}`}`,
            selfRepairRemedy,
          )
        : note(`${address} is not on kube-ipvs0, as nothing there is kube-ipvs' to serve`);
    });
  });

/** `IPv4 cluster-ip 10.96.0.1 . TCP . 80` as the kernel's sets are asked. */
const hasElement = (
  { rules }: KernelFacts,
  family: string,
  set: string,
  element: string,
): boolean | undefined => {
  const source = family === 'IPv6' ? rules.IPv6 : rules.IPv4;
  if (source === undefined) return undefined;
  const fields = element
    .split(' : ')[0]
    ?.split(' . ')
    .map((field) => (/^\d+$/.test(field) ? Number(field) : field));
  return source.hasElement(set, (fields ?? []) as readonly KeyValue[]);
};

const elements = (facts: ReportFacts): readonly CheckLine[] =>
  ifReadable(facts, (kernel) => {
    const { service, served } = facts;
    if (service === undefined || service.elements.length === 0) return [];
    const missing = service.elements.filter(
      ({ family, set, element }) => hasElement(kernel, family, set, element) === false,
    );
    const counted = formatCount(service.elements.length, 'element');
    // An older Service has what it takes of those that are another's.
    const isOurs = served.every(({ wanted, contested }) => wanted !== undefined && contested === undefined);
    if (missing.length === 0) return [ok(`${counted} of its sets are as they should be`)];
    const details = missing.slice(0, 10).map(({ family, set, element }) => `${family} ${set} ${element}`);
    return isOurs
      ? [fail(`${missing.length} of ${counted} are missing in the packet rules`, selfRepairRemedy, details)]
      : [note(`${missing.length} of ${counted} are missing, for what is not kube-ipvs' to serve`, details)];
  });

const inForce = ({ service, kernel, status }: ReportFacts): readonly CheckLine[] => {
  const families = [...new Set((service?.elements ?? []).map(({ family }) => family))];
  return families.flatMap((family): readonly CheckLine[] => {
    const reported = 'value' in status ? status.value.packetRules[family] : undefined;
    if (reported?.inForce === false)
      return [
        fail(
          `the packet rules of ${family} are not in force: ${reported.trouble ?? 'no reason is known'}; nothing is masqueraded`,
          'kube-ipvs doctor --only packet-rules',
        ),
      ];
    if (!('value' in kernel)) return [];
    const rules = family === 'IPv6' ? kernel.value.rules.IPv6 : kernel.value.rules.IPv4;
    return rules === undefined
      ? [
          fail(
            `there is no table ${family === 'IPv6' ? 'ip6' : 'ip'} kube-ipvs: nothing is masqueraded`,
            selfRepairRemedy,
          ),
        ]
      : [];
  });
};

const classes = ({ served }: ReportFacts): readonly CheckLine[] => {
  const names = [...new Set(served.map(({ packetClass }) => packetClass).filter((name) => name !== ''))];
  return names.map((name) => {
    const members = served.filter(({ packetClass }) => packetClass === name);
    return note(
      `treated as ${name} (${setDeclaration(name)?.comment ?? 'an unknown class'}):`,
      members.slice(0, 12).map(({ key, frontend }) => `${key} ${frontend}`),
    );
  });
};

const lingering = ({ service }: ReportFacts): readonly CheckLine[] => {
  const left = Object.entries(service?.lingering ?? {});
  if (left.length === 0) return [];
  return [
    note(
      `${formatCount(left.length, 'virtual server')} that the Service asks for no more, for connections that are still open`,
      left.slice(0, 10).map(([key, names]) => `${key} ${virtualServerStateText(names)}`),
    ),
  ];
};

export const kernelChecks: readonly ReportCheck[] = [
  { id: 'access', title: 'whether the kernel may be read', check: access },
  {
    id: 'virtual-servers',
    title: 'whether its virtual servers are in the kernel as they should be',
    check: virtualServers,
  },
  {
    id: 'lingering',
    title: 'what it does not ask for any more, and that ends with its connections',
    check: lingering,
  },
  { id: 'addresses', title: 'whether its addresses are on kube-ipvs0', check: addresses },
];

export const packetRuleChecks: readonly ReportCheck[] = [
  { id: 'in-force', title: 'whether the packet rules are in force', check: inForce },
  { id: 'class', title: 'how packets to its virtual servers are treated', check: classes },
  { id: 'elements', title: 'whether its elements are in the sets of the packet rules', check: elements },
];
