import { parseIp, type IpAddress } from '../../../base/ip.js';
import { formatCount } from '../../../base/text.js';
import { fallbackFlag } from '../../../plan/fallback-flag.js';
import { setDeclaration } from '../../../plan/packet-rules/packet-sets.js';
import type { ElementResponse, ServiceReportResponse } from '../../../admin-api/responses.js';
import {
  ipvsadmService,
  realServerJson,
  virtualServerSettingsJson,
  type RealServerJson,
  type VirtualServerJson,
} from '../../../plan/output/ipvs-table-formats.js';
import type { KeyValue } from '../../../nftables/declarations.js';
import type { VipBinding } from '../../../model/settings/vip-binding.js';
import {
  addressOfServer,
  type RealServerKey,
  type RealServerObservation,
} from '../../../model/virtual-server.js';
import type { ObservedVirtualServer } from '../../kernel/kernel-snapshot.js';
import { advise, type Remedy } from '../../../doctor/remedy.js';
import { takeOverRemedy } from '../../../doctor/take-over-remedy.js';
import { countersText } from './counters-text.js';
import { fullRealServers } from './limit-checks.js';
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
  type ServedVirtualServer,
} from '../facts.js';

const selfRepair: readonly Remedy[] = [
  advise('Wait for the next sync (ipvs.syncPeriod): kube-ipvs repairs it.'),
  advise('If it comes back, find the program that changes it.', 'kube-ipvs doctor --only conflicts'),
];

/** Empty where the kernel cannot be read. */
const ifReadable = (
  { kernel }: ReportFacts,
  describe: (kernel: KernelFacts) => readonly CheckLine[],
): readonly CheckLine[] => ('value' in kernel ? describe(kernel.value) : []);

const access = ({ kernel }: ReportFacts): readonly CheckLine[] =>
  'value' in kernel
    ? []
    : [
        warn(
          `cannot read the kernel, the report shows only what the daemon knows: ${kernel.unavailable}`,
          kernel.remedies,
        ),
      ];

const shape = (entry: ObservedVirtualServer): string =>
  `${schedulerWords(entry.server)}, ${formatCount(entry.realServers.size, 'real server')}`;

/** The real servers that the virtual server should have: the desired and the draining ones. */
const expectedOf = ({
  wanted,
  realServers,
}: ServedVirtualServer): ReadonlyMap<string, RealServerJson | 'draining'> => {
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
    return real.weight === 0 ? [] : [`${key} is draining, but has weight ${real.weight}`];
  const has = realServerJson(real);
  const differing: string[] = [];
  if (has.weight !== expected.weight)
    differing.push(`${key} has weight ${has.weight} instead of ${expected.weight}`);
  // The kernel sets `local` for a real server with a local address.
  if (has.forwarding !== expected.forwarding && has.forwarding !== 'local')
    differing.push(`${key} has forwarding ${has.forwarding} instead of ${expected.forwarding}`);
  if (has.upperThreshold !== expected.upperThreshold || has.lowerThreshold !== expected.lowerThreshold)
    differing.push(`${key} has other thresholds`);
  return differing;
};

/** Without the fallback that kube-ipvs sets while a real server drains. */
const flagsText = (flags: readonly string[], { wanted, realServers }: ServedVirtualServer): string => {
  const drains = Object.values(realServers).some(({ state }) => state === 'draining');
  const fallback = fallbackFlag(wanted?.scheduler ?? '');
  const isLent = drains && fallback !== undefined && wanted?.flags?.includes(fallback) !== true;
  return flags.filter((flag) => !(isLent && flag === fallback)).join(',') || 'none';
};

const persistenceText = ({
  persistent,
  persistentPrefixLength: length,
}: Pick<VirtualServerJson, 'persistent' | 'persistentPrefixLength'>): string =>
  persistent === undefined ? 'none' : `${persistent} s${length === undefined ? '' : ` by /${length}`}`;

const differences = (served: ServedVirtualServer, entry: ObservedVirtualServer): readonly string[] => {
  const { wanted } = served;
  const { server, realServers } = entry;
  const expected = expectedOf(served);
  const own: string[] = [];
  if (wanted !== undefined && server.scheduler !== wanted.scheduler)
    own.push(`scheduler ${server.scheduler} instead of ${wanted.scheduler}`);
  const [sticks, sticky] = [virtualServerSettingsJson(server), wanted ?? {}].map(persistenceText);
  if (wanted !== undefined && sticks !== sticky) own.push(`persistence ${sticks} instead of ${sticky}`);
  const [has, desired] = [server.flags, wanted?.flags ?? []].map((flags) => flagsText(flags, served));
  if (wanted !== undefined && has !== desired) own.push(`flags ${has} instead of ${desired}`);
  const missing = [...expected].flatMap(([key, real]) =>
    differenceOf(key, real, realServers.get(key as RealServerKey)),
  );
  const unexpected = [...realServers.values()]
    .filter(({ key, weight }) => !expected.has(key) && weight > 0)
    .map(({ key }) => `${key} is not an endpoint of the Service`);
  return [...own, ...missing, ...unexpected];
};

const refusalOf = (service: ServiceReportResponse | undefined, what: string): string | undefined =>
  service?.refused.find((refusal) => refusal.what === what)?.reason;

const foreignServerLine = (
  served: ServedVirtualServer,
  entry: ObservedVirtualServer | undefined,
): CheckLine => {
  return fail(
    `another program created ${served.key}; kube-ipvs does not change it` +
      (entry === undefined ? '' : ` (${shape(entry)})`),
    [
      advise(
        'Stop that program, then delete the virtual server.',
        `ipvsadm -D ${ipvsadmService(served.identity)}`,
      ),
      takeOverRemedy(served.service ?? ''),
    ],
  );
};

const servedLine = (facts: ReportFacts, kernel: KernelFacts, served: ServedVirtualServer): CheckLine => {
  const entry = kernel.virtualServers.get(served.key);
  const name = `${served.key} (${served.frontend})`;
  if (served.contested === true) return foreignServerLine(served, entry);
  if (entry === undefined) {
    const reason = refusalOf(facts.service, served.key);
    return fail(
      `${name} is not in the kernel${reason === undefined ? '' : `, which refused it: ${reason}`}`,
      reason === undefined ? selfRepair : [advise('Find out what the kernel lacks.', 'kube-ipvs doctor')],
    );
  }
  const wrong = differences(served, entry);
  if (wrong.length > 0)
    return fail(
      `${name} differs from the desired state: ${formatCount(wrong.length, 'difference')}`,
      selfRepair,
      wrong.slice(0, 10),
    );
  const consequence = entry.realServers.size === 0 ? ': connections are refused' : '';
  return ok(`${name}: ${shape(entry)}${consequence}`, [countersText(entry)]);
};

/** Virtual servers at a target of an unknown Service. */
const unclaimedServers = (facts: ReportFacts, kernel: KernelFacts): readonly CheckLine[] => {
  const unserved = [...kernel.virtualServers].filter(
    ([key]) => !facts.served.some((served) => served.key === key),
  );
  const isUnclaimed = facts.service === undefined;
  if (isUnclaimed && unserved.length === 0)
    return [
      fail(`IPVS has no virtual server at ${facts.target}`, [
        advise('List the virtual servers.', 'kube-ipvs dump'),
      ]),
    ];
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

/** The addresses of the selected virtual servers. */
const targetAddresses = ({ service, served }: ReportFacts): readonly IpAddress[] => {
  const targeted = new Set(served.map(({ identity }) => addressOfServer(identity)));
  return (service?.addresses ?? [])
    .flatMap(({ address }) => parseIp(address) ?? [])
    .filter((address) => targeted.has(address));
};

/** Such as `kube-ipvs0 has 10.96.0.1`. */
const boundText = (
  expected: readonly IpAddress[],
  { vips, dummyInterface }: Pick<KernelFacts, 'vips' | 'dummyInterface'>,
): string => {
  const what = expected.length === 1 ? expected[0] : `all ${expected.length} addresses`;
  const hasBinding = (binding: VipBinding): boolean =>
    expected.every((address) => vips.get(address)?.includes(binding));
  if (hasBinding('address')) return `${dummyInterface} has ${what}`;
  const routes = expected.length === 1 ? 'a route' : 'routes';
  return hasBinding('route')
    ? `the table local has ${routes} to ${what}`
    : `${dummyInterface} and the table local have ${what}`;
};

const addresses = (facts: ReportFacts): readonly CheckLine[] =>
  ifReadable(facts, ({ vips, dummyInterface }) => {
    const expected = targetAddresses(facts);
    if (expected.length === 0) return [];
    const missing = expected.filter((address) => !vips.has(address));
    if (missing.length === 0) return [ok(boundText(expected, { vips, dummyInterface }))];
    return missing.map((address) => {
      const reason = refusalOf(facts.service, address);
      const isOurs = facts.served.some(
        (served) => served.contested !== true && addressOfServer(served.identity) === address,
      );
      return isOurs
        ? fail(
            `${address} is not bound, neither on ${dummyInterface} nor as a local route: packets to it never reach IPVS${reason === undefined ? '' : `; the kernel refused it: ${reason}`}`,
            selfRepair,
          )
        : note(`${address} is not bound: other programs serve all its virtual servers`);
    });
  });

/** Undefined: the packet rules could not be read. An older daemon does not report the fields: then its own view counts. */
const hasElement = (
  { rules }: KernelFacts,
  { family, set, fields, inKernel }: ElementResponse,
): boolean | undefined => {
  const source = family === 'IPv6' ? rules.IPv6 : rules.IPv4;
  if (source === undefined) return undefined;
  return fields === undefined ? inKernel : source.hasElement(set, fields as readonly KeyValue[]);
};

const elements = (facts: ReportFacts): readonly CheckLine[] =>
  ifReadable(facts, (kernel) => {
    const { service, served } = facts;
    if (service === undefined || service.elements.length === 0) return [];
    const missing = service.elements.filter((element) => hasElement(kernel, element) === false);
    const counted = formatCount(service.elements.length, 'element');
    // Elements of virtual servers that an older Service or another program holds are missing rightly.
    const isOurs = served.every(({ wanted, contested }) => wanted !== undefined && contested === undefined);
    if (missing.length === 0)
      return [ok(`${counted} of the Service ${service.elements.length === 1 ? 'is' : 'are'} in the sets`)];
    const details = missing.slice(0, 10).map(({ family, set, element }) => `${family} ${set} ${element}`);
    return isOurs
      ? [fail(`${missing.length} of ${counted} of the Service are missing in the sets`, selfRepair, details)]
      : [
          note(
            `${missing.length} of ${counted} are missing: another Service or program serves their virtual servers`,
            details,
          ),
        ];
  });

const inForce = ({ service, kernel, status }: ReportFacts): readonly CheckLine[] => {
  const families = [...new Set((service?.elements ?? []).map(({ family }) => family))];
  return families.flatMap((family): readonly CheckLine[] => {
    const reported = 'value' in status ? status.value.packetRules[family] : undefined;
    if (reported?.inForce === false)
      return [
        fail(
          `the packet rules for ${family} are not in force: ${reported.trouble ?? 'unknown reason'}; nothing is masqueraded`,
          [advise('Find the cause.', 'kube-ipvs doctor --only packet-rules')],
        ),
      ];
    if (!('value' in kernel)) return [];
    const rules = family === 'IPv6' ? kernel.value.rules.IPv6 : kernel.value.rules.IPv4;
    return rules === undefined
      ? [
          fail(
            `the table ${family === 'IPv6' ? 'ip6' : 'ip'} kube-ipvs does not exist: nothing is masqueraded`,
            selfRepair,
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
      `handled as ${name} (${setDeclaration(name)?.comment ?? 'unknown class'}):`,
      members.slice(0, 12).map(({ key, frontend }) => `${key} ${frontend}`),
    );
  });
};

const lingering = ({ service }: ReportFacts): readonly CheckLine[] => {
  const left = Object.entries(service?.lingering ?? {});
  if (left.length === 0) return [];
  return [
    note(
      `${formatCount(left.length, 'orphaned virtual server')} that the Service no longer requests, kept for open connections`,
      left.slice(0, 10).map(([key, names]) => `${key} ${virtualServerStateText(names)}`),
    ),
  ];
};

export const kernelChecks: readonly ReportCheck[] = [
  { id: 'access', title: 'whether the kernel can be read', check: access },
  {
    id: 'virtual-servers',
    title: 'whether its virtual servers are in the kernel as desired',
    check: virtualServers,
  },
  { id: 'limits', title: 'whether real servers have reached their limit', check: fullRealServers },
  {
    id: 'lingering',
    title: 'virtual servers that it no longer requests, kept for open connections',
    check: lingering,
  },
  { id: 'addresses', title: 'whether its addresses are on kube-ipvs0, or local routes', check: addresses },
];

export const packetRuleChecks: readonly ReportCheck[] = [
  { id: 'in-force', title: 'whether the packet rules are in force', check: inForce },
  { id: 'class', title: 'how packets to its virtual servers are handled', check: classes },
  { id: 'elements', title: 'whether its elements are in the sets of the packet rules', check: elements },
];
