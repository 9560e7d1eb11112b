import { familyOf, type Family } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import { dropsReplies, filterName, remedyFor } from '../../plan/packet-rules/forward-policy.js';
import { checksInGroup } from '../check.js';
import type { ChainFact, Facts } from '../facts.js';
import {
  fail,
  checkFact,
  pass,
  abbreviatedList,
  unknown,
  valueOf,
  warn,
  type CheckResult,
  type Fact,
} from '../check-result.js';
import { advise, type Remedy } from '../remedy.js';
import { boundVips } from '../vips.js';

const loadNftables = advise(
  'Load the kernel modules of nftables.',
  'modprobe -a nf_tables nft_masq nft_chain_nat',
);

const nftables = ({ nftables: fact }: Facts): CheckResult =>
  checkFact(fact, (families) => {
    const missing = (['IPv4', 'IPv6'] as const).filter((family) => !families.includes(family));
    if (missing.length === 0) return pass('nftables supports filter and nat chains for IPv4 and IPv6');
    return families.includes('IPv4')
      ? warn(
          'nftables does not support chains for IPv6',
          loadNftables,
          advise('Or boot a kernel with CONFIG_NF_TABLES_IPV6.'),
        )
      : fail(
          `nftables does not support chains for ${missing.join(' and ')}`,
          loadNftables,
          advise('Or boot a kernel with CONFIG_NF_TABLES.'),
        );
  });

const ownRules = ({ ownRules: fact, nftables: supported, configuration }: Facts): CheckResult =>
  checkFact(fact, (tables) => {
    const { table } = configuration.settings.names;
    const tableDescription = (family: Family): string => `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${table}`;
    const remedy = advise(
      'Start or restart kube-ipvs, which writes its rules at start and every ipvs.syncPeriod.',
    );
    const expected = valueOf(supported) ?? ['IPv4'];
    if (tables.length === 0) return fail(`missing: ${expected.map(tableDescription).join(', ')}`, remedy);
    const missing = expected.filter((family) => !tables.some((own) => own.family === family));
    const dormant = tables.filter(({ hooks }) => hooks === 0);
    const text = tables.map(
      ({ family, hooks, elements }) =>
        `${tableDescription(family)}: ${formatCount(hooks, 'hook')}, ${formatCount(elements, 'element')}`,
    );
    if (dormant.length > 0) return fail(`${text.join('; ')}: no packet enters a table without hooks`, remedy);
    return missing.length > 0
      ? warn(`${text.join('; ')}; missing: ${missing.map(tableDescription).join(', ')}`, remedy)
      : pass(text.join('; '));
  });

/** Checks several facts as one; a fact that could not be read only turns a pass into unknown. */
const checkFacts = <T>(
  facts: readonly Fact<readonly T[]>[],
  check: (values: readonly T[]) => CheckResult,
): CheckResult => {
  const result = check(facts.flatMap((fact) => valueOf(fact) ?? []));
  const missing = facts.find((fact) => 'unavailable' in fact);
  return missing === undefined || !('unavailable' in missing) || result.result !== 'pass'
    ? result
    : unknown(missing.unavailable, ...missing.remedies);
};

const forwardPolicy = ({ forwarding: modern, legacyForwarding }: Facts): CheckResult =>
  checkFacts([modern, legacyForwarding], (filters) => {
    const dropping = filters.filter(dropsReplies);
    return dropping.length === 0
      ? pass(`${formatCount(filters.length, 'chain')} at the hook forward; none drops the replies of pods`)
      : fail(
          `the replies of pods are dropped unless a rule accepts them: ${abbreviatedList(dropping.map(filterName), 3)}`,
          ...dropping.map((filter) =>
            advise('Accept packets of established connections.', remedyFor(filter)),
          ),
        );
  });

/** The VIPs that are bound, which packets to Services go to. */
const virtualAddresses = (facts: Facts, chain: ChainFact): readonly string[] => {
  const network = valueOf(facts.network);
  return (network === undefined ? [] : boundVips(network))
    .map(({ address }) => address)
    .filter(
      (address) => chain.family === 'inet' || (familyOf(address) === 'IPv6') === (chain.family === 'ip6'),
    );
};

const acceptCommand = (facts: Facts, chain: ChainFact): string => {
  const [first] = virtualAddresses(facts, chain);
  const of = (address: string): 'ip6' | 'ip' => (address.includes(':') ? 'ip6' : 'ip');
  const destination = first ?? (chain.family === 'ip6' ? 'VIP6' : 'VIP');
  if (chain.by === 'iptables-legacy')
    return `${chain.family === 'ip6' ? 'ip6tables' : 'iptables'}-legacy -I INPUT -d ${destination} -j ACCEPT`;
  return chain.family !== 'inet' && chain.table === 'filter' && chain.chain === 'INPUT'
    ? `${chain.family === 'ip6' ? 'ip6tables' : 'iptables'}-nft -I INPUT -d ${destination} -j ACCEPT`
    : `nft insert rule ${chain.family} ${chain.table} ${chain.chain} ${of(destination.toLowerCase())} daddr ${destination} accept`;
};

const chainDescription = ({ by, family, table: of, chain }: ChainFact): string =>
  `${family} ${of} ${chain} (${by})`;

const inputPolicy = (facts: Facts): CheckResult =>
  checkFacts([facts.chains, facts.legacyChains], (chains) => {
    const dropping = chains.filter(({ hook }) => hook?.hook === 'input' && hook.policy === 'drop');
    if (dropping.length === 0) return pass('no chain at the hook input has the policy drop');
    const ports = [
      ...new Set(
        (valueOf(facts.services) ?? []).flatMap(({ healthCheckNodePort }) => healthCheckNodePort ?? []),
      ),
    ];
    const remedies: readonly Remedy[] = [
      ...dropping.map((chain) => advise('Accept packets to Services.', acceptCommand(facts, chain))),
      advise('Do the same for each network of Services.'),
      ...(ports.length === 0
        ? []
        : [advise(`Accept the health check ports: tcp dport { ${ports.join(', ')} } accept.`)]),
    ];
    return warn(
      `packets that no rule accepts are dropped before they reach IPVS: ${abbreviatedList(dropping.map(chainDescription), 3)}`,
      ...remedies,
    );
  });

export const packetRuleChecks = checksInGroup('packet-rules', [
  {
    id: 'nftables',
    title: 'nftables for IPv4 and IPv6',
    why: 'Masquerading, source ranges and the protection of VIPs are nftables rules.',
    run: nftables,
  },
  {
    id: 'packet-rules',
    title: 'the packet rules of kube-ipvs',
    why: 'Without them replies get lost, source ranges are not enforced, and every port of the node is reachable through a VIP.',
    run: ownRules,
  },
  {
    id: 'forward-policy',
    title: 'chains of other programs at the hook forward',
    why: 'A chain that drops the replies of pods cannot be overruled by rules in another table.',
    run: forwardPolicy,
  },
  {
    id: 'input-policy',
    title: 'chains of other programs at the hook input',
    why: 'Packets to VIPs and health check ports pass these chains first: the policy drop makes Services unreachable.',
    run: inputPolicy,
  },
]);
