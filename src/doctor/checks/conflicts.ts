import { count } from '../../base/text.js';
import { kubeProxyChain, kubeProxySet, kubeProxyTable } from '../../model/kube-proxy-names.js';
import { checksOf } from '../check.js';
import type { ChainFact, Facts } from '../facts.js';
import { fail, judge, pass, some, unknown, valueOf, warn, type Finding } from '../finding.js';

/** Chains of both looks, as far as they were possible. */
const chainsOf = ({ chains, legacyChains }: Facts): readonly ChainFact[] => [
  ...(valueOf(chains) ?? []),
  ...(valueOf(legacyChains) ?? []),
];

const places = (chains: readonly ChainFact[]): string =>
  some([...new Set(chains.map(({ by, family, table }) => `${family} ${table} (${by})`))]);

const whereChains = (
  facts: Facts,
  isOne: (chain: ChainFact) => boolean,
  { found, none }: { readonly found: (chains: readonly ChainFact[]) => Finding; readonly none: string },
): Finding => {
  const matching = chainsOf(facts).filter(isOne);
  if (matching.length > 0) return found(matching);
  const blind =
    'unseen' in facts.chains ? facts.chains : 'unseen' in facts.legacyChains ? facts.legacyChains : undefined;
  return blind === undefined ? pass(none) : unknown(blind.unseen, blind.remedy);
};

const proxies: readonly string[] = ['kube-ipvs', 'kube-proxy'];

const twoProxies = ({ programs, metrics }: Facts): Finding =>
  judge(programs, (all) => {
    const found = all.filter(({ name }) => proxies.includes(name));
    const text = found.map(({ name, pid }) => `${name} (process ${pid})`);
    if (found.length > 1)
      return fail(
        `${count(found.length, 'proxy')} run here: ${some(text)}`.replace('proxys', 'proxies'),
        'kubectl -n kube-system patch daemonset kube-proxy -p \'{"spec":{"template":{"spec":{"nodeSelector":{"kube-proxy":"nowhere"}}}}}\'',
      );
    const page = valueOf(metrics);
    const isStranger =
      page !== undefined &&
      !page.has('kube_ipvs_virtual_servers') &&
      page.has('kubeproxy_sync_proxy_rules_duration_seconds_count');
    if (isStranger)
      return fail(
        'the metrics port is served by kube-proxy, not by kube-ipvs',
        'kubectl -n kube-system delete daemonset kube-proxy, as deploy/MIGRATION.md has it',
      );
    return pass(
      found.length === 0 ? 'no proxy is seen in this process namespace' : `one proxy: ${some(text)}`,
    );
  });

const isOfKubeProxy = ({ table, chain }: ChainFact): boolean =>
  table === kubeProxyTable || kubeProxyChain.test(chain);

const leftovers = (facts: Facts): Finding => {
  const chains = chainsOf(facts).filter(isOfKubeProxy);
  const sets = (valueOf(facts.ipsets) ?? []).filter((name) => kubeProxySet.test(name));
  const found = [
    ...(chains.length > 0 ? [`${count(chains.length, 'chain')} of kube-proxy in ${places(chains)}`] : []),
    ...(sets.length > 0 ? [`${count(sets.length, 'set')} of ipset: ${some(sets.toSorted(), 3)}`] : []),
  ];
  if (found.length > 0) return warn(found.join('; '), 'kube-ipvs cleanup --kube-proxy');
  const blind = [facts.chains, facts.legacyChains, facts.ipsets].find((look) => 'unseen' in look);
  return blind === undefined || 'value' in blind
    ? pass('no chain and no set of kube-proxy is left')
    : unknown(blind.unseen, blind.remedy);
};

const otherProxies = (facts: Facts): Finding =>
  whereChains(facts, ({ chain }) => /^(KUBE-ROUTER-|CILIUM_)/.test(chain), {
    found: (chains) => {
      const running = (valueOf(facts.programs) ?? [])
        .filter(({ name }) => name === 'kube-router' || name === 'cilium-agent')
        .map(({ name }) => name);
      const isRouter = chains.some(({ chain }) => chain.startsWith('KUBE-ROUTER-'));
      return warn(
        `${count(chains.length, 'chain')} of ${isRouter ? 'kube-router' : 'Cilium'} in ${places(chains)}${running.length > 0 ? `, and ${some(running)} runs` : ''}`,
        isRouter
          ? 'start kube-router with --run-service-proxy=false; what is left of it: kube-router --cleanup-config'
          : 'helm upgrade cilium with kubeProxyReplacement=false',
      );
    },
    none: 'nothing of kube-router or Cilium is here',
  });

const hostPorts = (facts: Facts): Finding =>
  whereChains(facts, ({ chain }) => /^(CNI-HOSTPORT-DNAT|KUBE-HOSTPORTS)$|^hostports/.test(chain), {
    found: (chains) =>
      warn(
        `rules for hostPorts in ${places(chains)}: they take packets to local addresses before IPVS, VIPs on kube-ipvs0 among them`,
        'give pods with hostPort a port that no Service has, or a hostIP: the address of the node',
      ),
    none: 'no rules for hostPorts',
  });

const contested = ({ status }: Facts): Finding =>
  judge(status, ({ contested: all }) =>
    all.length === 0
      ? pass('no Service is kept from its virtual server by somebody else')
      : fail(
          some(
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

const manager = ({ programs }: Facts): Finding =>
  judge(programs, (all) => {
    const found = all.filter(({ name }) => name === 'keepalived' || name === 'kube-vip');
    return found.length === 0
      ? pass('no other program that manages IPVS is seen')
      : warn(
          `${some(found.map(({ name, pid }) => `${name} (process ${pid})`))} manages virtual servers of its own here`,
          'list its addresses in ipvs.excludeCIDRs, so that no Service can take them',
        );
  });

export const conflictChecks = checksOf('conflicts', [
  {
    id: 'two-proxies',
    title: 'other proxies that run here',
    why: 'Two proxies undo what the other one does, and connections break each time.',
    look: twoProxies,
  },
  {
    id: 'kube-proxy-leftovers',
    title: 'rules and sets that kube-proxy left',
    why: 'They catch packets before IPVS and send them to pods that are long gone.',
    look: leftovers,
  },
  {
    id: 'other-dataplanes',
    title: 'rules of kube-router and Cilium',
    why: 'Both can serve Services by themselves; then packets never come to IPVS.',
    look: otherProxies,
  },
  {
    id: 'host-ports',
    title: "the CNI's rules for hostPorts",
    why: 'A hostPort that equals the port of a Service draws the packets of its VIP to that pod.',
    look: hostPorts,
  },
  {
    id: 'contested-servers',
    title: 'virtual servers of others that Services ask for',
    why: 'What somebody else made is left alone: such a Service goes where the other one sends it.',
    look: contested,
  },
  {
    id: 'ipvs-managers',
    title: 'other programs that manage IPVS',
    why: 'They keep virtual servers in the same table, and what one of them takes a Service cannot have.',
    look: manager,
  },
]);
