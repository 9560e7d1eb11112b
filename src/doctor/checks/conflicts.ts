import { formatCount } from '../../base/text.js';
import { kubeProxyChain, kubeProxySet, kubeProxyTable } from '../../model/kube-proxy-names.js';
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
} from '../check-result.js';

/** Chains of both looks, as far as they were possible. */
const chainsOf = ({ chains, legacyChains }: Facts): readonly ChainFact[] => [
  ...(valueOf(chains) ?? []),
  ...(valueOf(legacyChains) ?? []),
];

const tableNames = (chains: readonly ChainFact[]): string =>
  abbreviatedList([...new Set(chains.map(({ by, family, table }) => `${family} ${table} (${by})`))]);

const checkChains = (
  facts: Facts,
  matches: (chain: ChainFact) => boolean,
  { found, none }: { readonly found: (chains: readonly ChainFact[]) => CheckResult; readonly none: string },
): CheckResult => {
  const matching = chainsOf(facts).filter(matches);
  if (matching.length > 0) return found(matching);
  const missing =
    'unavailable' in facts.chains
      ? facts.chains
      : 'unavailable' in facts.legacyChains
        ? facts.legacyChains
        : undefined;
  return missing === undefined ? pass(none) : unknown(missing.unavailable, missing.remedy);
};

const proxyNames: readonly string[] = ['kube-ipvs', 'kube-proxy'];

const twoProxies = ({ programs, metrics }: Facts): CheckResult =>
  checkFact(programs, (all) => {
    const found = all.filter(({ name }) => proxyNames.includes(name));
    const text = found.map(({ name, pid }) => `${name} (process ${pid})`);
    if (found.length > 1)
      return fail(
        `${formatCount(found.length, 'proxy')} run here: ${abbreviatedList(text)}`.replace(
          'proxys',
          'proxies',
        ),
        'kubectl -n kube-system patch daemonset kube-proxy -p \'{"spec":{"template":{"spec":{"nodeSelector":{"kube-proxy":"nowhere"}}}}}\'',
      );
    const page = valueOf(metrics);
    const isKubeProxy =
      page !== undefined &&
      !page.has('kube_ipvs_virtual_servers') &&
      page.has('kubeproxy_sync_proxy_rules_duration_seconds_count');
    if (isKubeProxy)
      return fail(
        'the metrics port is served by kube-proxy, not by kube-ipvs',
        'kubectl -n kube-system delete daemonset kube-proxy, as docs/migration.md has it',
      );
    return pass(
      found.length === 0
        ? 'no proxy is seen in this process namespace'
        : `one proxy: ${abbreviatedList(text)}`,
    );
  });

const isKubeProxyChain = ({ table, chain }: ChainFact): boolean =>
  table === kubeProxyTable || kubeProxyChain.test(chain);

const kubeProxyLeftovers = (facts: Facts): CheckResult => {
  const chains = chainsOf(facts).filter(isKubeProxyChain);
  const sets = (valueOf(facts.ipsets) ?? []).filter((name) => kubeProxySet.test(name));
  const found = [
    ...(chains.length > 0
      ? [`${formatCount(chains.length, 'chain')} of kube-proxy in ${tableNames(chains)}`]
      : []),
    ...(sets.length > 0
      ? [`${formatCount(sets.length, 'set')} of ipset: ${abbreviatedList(sets.toSorted(), 3)}`]
      : []),
  ];
  if (found.length > 0) return warn(found.join('; '), 'kube-ipvs cleanup --kube-proxy');
  const missing = [facts.chains, facts.legacyChains, facts.ipsets].find((look) => 'unavailable' in look);
  return missing === undefined || 'value' in missing
    ? pass('no chain and no set of kube-proxy is left')
    : unknown(missing.unavailable, missing.remedy);
};

const otherProxies = (facts: Facts): CheckResult =>
  checkChains(facts, ({ chain }) => /^(KUBE-ROUTER-|CILIUM_)/.test(chain), {
    found: (chains) => {
      const running = (valueOf(facts.programs) ?? [])
        .filter(({ name }) => name === 'kube-router' || name === 'cilium-agent')
        .map(({ name }) => name);
      const isRouter = chains.some(({ chain }) => chain.startsWith('KUBE-ROUTER-'));
      return warn(
        `${formatCount(chains.length, 'chain')} of ${isRouter ? 'kube-router' : 'Cilium'} in ${tableNames(chains)}${running.length > 0 ? `, and ${abbreviatedList(running)} runs` : ''}`,
        isRouter
          ? 'start kube-router with --run-service-proxy=false; what is left of it: kube-router --cleanup-config'
          : 'helm upgrade cilium with kubeProxyReplacement=false',
      );
    },
    none: 'nothing of kube-router or Cilium is here',
  });

const hostPorts = (facts: Facts): CheckResult =>
  checkChains(facts, ({ chain }) => /^(CNI-HOSTPORT-DNAT|KUBE-HOSTPORTS)$|^hostports/.test(chain), {
    found: (chains) =>
      warn(
        `rules for hostPorts in ${tableNames(chains)}: they take packets to local addresses before IPVS, VIPs on kube-ipvs0 among them`,
        'give pods with hostPort a port that no Service has, or a hostIP: the address of the node',
      ),
    none: 'no rules for hostPorts',
  });

const foreignVirtualServers = ({ status }: Facts): CheckResult =>
  checkFact(status, ({ contested: all }) =>
    all.length === 0
      ? pass('no Service is kept from its virtual server by somebody else')
      : fail(
          abbreviatedList(
            all.map(
              ({ virtualServer, service }) => `${virtualServer} of Service ${service} is of somebody else`,
            ),
          ),
          all
            .slice(0, 3)
            .map(({ service }) => {
              const [namespace = '', name = ''] = service.split(/[/:]/);
              return `kubectl -n ${namespace} annotate service ${name} ipvs.kube-ipvs.dev/take-over-foreign=true`;
            })
            .join('; '),
        ),
  );

const ipvsManagers = ({ programs }: Facts): CheckResult =>
  checkFact(programs, (all) => {
    const found = all.filter(({ name }) => name === 'keepalived' || name === 'kube-vip');
    return found.length === 0
      ? pass('no other program that manages IPVS is seen')
      : warn(
          `${abbreviatedList(found.map(({ name, pid }) => `${name} (process ${pid})`))} manages virtual servers of its own here`,
          'list its addresses in ipvs.excludeCIDRs, so that no Service can take them',
        );
  });

export const conflictChecks = checksInGroup('conflicts', [
  {
    id: 'two-proxies',
    title: 'other proxies that run here',
    why: 'Two proxies undo what the other one does, and connections break each time.',
    run: twoProxies,
  },
  {
    id: 'kube-proxy-leftovers',
    title: 'rules and sets that kube-proxy left',
    why: 'They catch packets before IPVS and send them to pods that are long gone.',
    run: kubeProxyLeftovers,
  },
  {
    id: 'other-dataplanes',
    title: 'rules of kube-router and Cilium',
    why: 'Both can serve Services by themselves; then packets never come to IPVS.',
    run: otherProxies,
  },
  {
    id: 'host-ports',
    title: "the CNI's rules for hostPorts",
    why: 'A hostPort that equals the port of a Service draws the packets of its VIP to that pod.',
    run: hostPorts,
  },
  {
    id: 'contested-servers',
    title: 'virtual servers of others that Services ask for',
    why: 'What somebody else made is left alone: such a Service goes where the other one sends it.',
    run: foreignVirtualServers,
  },
  {
    id: 'ipvs-managers',
    title: 'other programs that manage IPVS',
    why: 'They keep virtual servers in the same table, and what one of them takes a Service cannot have.',
    run: ipvsManagers,
  },
]);
