import { familyOf, type Family } from '../../base/ip.js';
import { count } from '../../base/text.js';
import { tableName } from '../../model/nftables.js';
import { dummyInterfaceName } from '../../model/node.js';
import { dropsAnswers, filterName, remedyFor } from '../../plan/forward-policy.js';
import { checksOf } from '../check.js';
import type { ChainFact, Facts } from '../facts.js';
import { fail, judge, pass, some, unknown, valueOf, warn, type Finding, type Look } from '../finding.js';

const nftables = ({ nftables: look }: Facts): Finding =>
  judge(look, (families) => {
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

const table = (family: Family): string => `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${tableName}`;

const ownRules = ({ ownRules: look, nftables: supported }: Facts): Finding =>
  judge(look, (tables) => {
    const remedy = 'start kube-ipvs, or restart it: it writes its rules at start and every ipvs.syncPeriod';
    const wanted = valueOf(supported) ?? ['IPv4'];
    if (tables.length === 0) return fail(`there is no ${wanted.map(table).join(' and no ')}`, remedy);
    const missing = wanted.filter((family) => !tables.some((own) => own.family === family));
    const asleep = tables.filter(({ hooks }) => hooks === 0);
    const text = tables.map(
      ({ family, hooks, elements }) =>
        `${table(family)}: ${count(hooks, 'hook')}, ${count(elements, 'element')}`,
    );
    if (asleep.length > 0) return fail(`${text.join('; ')}: no packet enters`, remedy);
    return missing.length > 0
      ? warn(`${text.join('; ')}; there is no ${missing.map(table).join(' and no ')}`, remedy)
      : pass(text.join('; '));
  });

/** Both looks as one; what could not be looked at makes the rest no less true. */
const together = <T>(
  looks: readonly Look<readonly T[]>[],
  meaning: (values: readonly T[]) => Finding,
): Finding => {
  const finding = meaning(looks.flatMap((look) => valueOf(look) ?? []));
  const blind = looks.find((look) => 'unseen' in look);
  return blind === undefined || !('unseen' in blind) || finding.result !== 'pass'
    ? finding
    : unknown(blind.unseen, blind.remedy);
};

const forwarding = ({ forwarding: modern, legacyForwarding }: Facts): Finding =>
  together([modern, legacyForwarding], (filters) => {
    const dropping = filters.filter(dropsAnswers);
    return dropping.length === 0
      ? pass(`${count(filters.length, 'chain')} at the hook forward; none drops the answers of pods`)
      : fail(
          `the answers of pods are dropped, unless a rule accepts them, in ${some(dropping.map(filterName), 3)}`,
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

const inputName = ({ by, family, table: of, chain }: ChainFact): string => `${family} ${of} ${chain} (${by})`;

const input = (facts: Facts): Finding =>
  together([facts.chains, facts.legacyChains], (chains) => {
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
      `what no rule accepts is dropped in ${some(dropping.map(inputName), 3)}: packets to Services pass there before IPVS`,
      `${dropping.map((chain) => acceptCommand(facts, chain)).join('; ')}; the same for each network of Services${health}`,
    );
  });

export const packetRuleChecks = checksOf('packet-rules', [
  {
    id: 'nftables',
    title: 'nftables for IPv4 and IPv6',
    why: 'Masquerading, source ranges and the protection of VIPs are nftables rules.',
    look: nftables,
  },
  {
    id: 'packet-rules',
    title: 'the packet rules of kube-ipvs',
    why: 'Without them answers go astray, source ranges are open, and every port of the node is reachable by a VIP.',
    look: ownRules,
  },
  {
    id: 'forward-policy',
    title: 'chains of others that see what is forwarded',
    why: 'A policy that drops loses the answers of pods, and no other rule can bring them back.',
    look: forwarding,
  },
  {
    id: 'input-policy',
    title: 'chains of others that see what comes in',
    why: 'Packets to a VIP and to health check ports pass the hook input first: a policy that drops hides Services.',
    look: input,
  },
]);
