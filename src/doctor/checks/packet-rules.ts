import { familyOf, type Family } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import { tableName } from '../../nftables/declarations.js';
import { dummyInterfaceName } from '../../model/node.js';
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

const nftables = ({ nftables: fact }: Facts): CheckResult =>
  checkFact(fact, (families) => {
    const missing = (['IPv4', 'IPv6'] as const).filter((family) => !families.includes(family));
    if (missing.length === 0) return pass('nftables takes filter and nat chains of IPv4 and IPv6');
    return families.includes('IPv4')
      ? warn(
          'nftables takes no chains of IPv6',
          'modprobe nf_tables nft_masq nft_chain_nat, or a kernel with CONFIG_NF_TABLES_IPV6',
        )
      : fail(
          `nftables takes no chains of ${missing.join(' and ')}`,
          'modprobe nf_tables nft_masq nft_chain_nat, or a kernel with CONFIG_NF_TABLES',
        );
  });

const tableDescription = (family: Family): string => `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${tableName}`;

const ownRules = ({ ownRules: fact, nftables: supported }: Facts): CheckResult =>
  checkFact(fact, (tables) => {
    const remedy = 'start kube-ipvs, or restart it: it writes its rules at start and every ipvs.syncPeriod';
    const expected = valueOf(supported) ?? ['IPv4'];
    if (tables.length === 0)
      return fail(`there is no ${expected.map(tableDescription).join(' and no ')}`, remedy);
    const missing = expected.filter((family) => !tables.some((own) => own.family === family));
    const dormant = tables.filter(({ hooks }) => hooks === 0);
    const text = tables.map(
      ({ family, hooks, elements }) =>
        `${tableDescription(family)}: ${formatCount(hooks, 'hook')}, ${formatCount(elements, 'element')}`,
    );
    if (dormant.length > 0) return fail(`${text.join('; ')}: no packet enters`, remedy);
    return missing.length > 0
      ? warn(`${text.join('; ')}; there is no ${missing.map(tableDescription).join(' and no ')}`, remedy)
      : pass(text.join('; '));
  });

/** Both looks as one; what could not be looked at makes the rest no less true. */
const checkFacts = <T>(
  facts: readonly Fact<readonly T[]>[],
  check: (values: readonly T[]) => CheckResult,
): CheckResult => {
  const result = check(facts.flatMap((fact) => valueOf(fact) ?? []));
  const missing = facts.find((fact) => 'unavailable' in fact);
  return missing === undefined || !('unavailable' in missing) || result.result !== 'pass'
    ? result
    : unknown(missing.unavailable, missing.remedy);
};

const forwardPolicy = ({ forwarding: modern, legacyForwarding }: Facts): CheckResult =>
  checkFacts([modern, legacyForwarding], (filters) => {
    const dropping = filters.filter(dropsReplies);
    return dropping.length === 0
      ? pass(`${formatCount(filters.length, 'chain')} at the hook forward; none drops the answers of pods`)
      : fail(
          `the answers of pods are dropped, unless a rule accepts them, in ${abbreviatedList(dropping.map(filterName), 3)}`,
          dropping.map(remedyFor).join('; '),
        );
  });

/** The addresses that packets to Services go to: those of kube-ipvs0. */
const virtualAddresses = (facts: Facts, chain: ChainFact): readonly string[] =>
  (valueOf(facts.network)?.addresses ?? [])
    .filter(({ interfaceName }) => interfaceName === dummyInterfaceName)
    .filter(
      ({ address }) => chain.family === 'inet' || (familyOf(address) === 'IPv6') === (chain.family === 'ip6'),
    )
    .map(({ address }) => address);

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
    if (dropping.length === 0) return pass('no chain at the hook input drops by its policy');
    const ports = [
      ...new Set(
        (valueOf(facts.services) ?? []).flatMap(({ healthCheckNodePort }) => healthCheckNodePort ?? []),
      ),
    ];
    const health =
      ports.length === 0 ? '' : `, and for the health check ports: tcp dport { ${ports.join(', ')} } accept`;
    return warn(
      `what no rule accepts is dropped in ${abbreviatedList(dropping.map(chainDescription), 3)}: packets to Services pass there before IPVS`,
      `${dropping.map((chain) => acceptCommand(facts, chain)).join('; ')}; the same for each network of Services${health}`,
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
    why: 'Without them answers go astray, source ranges are open, and every port of the node is reachable by a VIP.',
    run: ownRules,
  },
  {
    id: 'forward-policy',
    title: 'chains of others that see what is forwarded',
    why: 'A policy that drops loses the answers of pods, and no other rule can bring them back.',
    run: forwardPolicy,
  },
  {
    id: 'input-policy',
    title: 'chains of others that see what comes in',
    why: 'Packets to a VIP and to health check ports pass the hook input first: a policy that drops hides Services.',
    run: inputPolicy,
  },
]);
