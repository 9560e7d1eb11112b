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
import { advise } from '../remedy.js';
import { takeOverRemedy } from '../take-over-remedy.js';
import { installedKubeProxy } from './installed-kube-proxy.js';

/** Chains of both frontends, as far as they could be read. */
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
  const missing = [facts.chains, facts.legacyChains].find((fact) => 'unavailable' in fact);
  return missing === undefined || 'value' in missing
    ? pass(none)
    : unknown(missing.unavailable, ...missing.remedies);
};

const proxyNames: readonly string[] = ['kube-ipvs', 'kube-proxy'];

const otherPorts =
  'Set metricsBindAddress and healthzBindAddress of the instance to ports that kube-proxy does not use.';

const twoProxies = ({ programs, metrics, configuration }: Facts): CheckResult =>
  checkFact(programs, (all) => {
    const found = all.filter(({ name }) => proxyNames.includes(name));
    const text = abbreviatedList(found.map(({ name, pid }) => `${name} (process ${pid})`));
    const { serviceProxyName } = configuration.settings.names;
    if (found.length > 1 && serviceProxyName === '')
      return fail(
        `${found.length} service proxies run on this node: ${text}`,
        advise(
          'Keep the DaemonSet kube-proxy off this node.',
          'kubectl -n kube-system patch daemonset kube-proxy -p \'{"spec":{"template":{"spec":{"nodeSelector":{"kube-proxy":"nowhere"}}}}}\'',
        ),
      );
    const page = valueOf(metrics);
    const isKubeProxy =
      page !== undefined &&
      !page.has('kube_ipvs_virtual_servers') &&
      page.has('kubeproxy_sync_proxy_rules_duration_seconds_count');
    if (isKubeProxy)
      return fail(
        'kube-proxy, not kube-ipvs, serves the metrics port',
        serviceProxyName === ''
          ? advise(
              'Delete the DaemonSet kube-proxy as docs/migration.md describes.',
              'kubectl -n kube-system delete daemonset kube-proxy',
            )
          : advise(otherPorts),
      );
    if (serviceProxyName !== '')
      return pass(`serviceProxyName ${serviceProxyName}: another service proxy serves the other Services`);
    return pass(
      found.length === 0
        ? 'no service proxy is visible in this process namespace'
        : `only one service proxy runs: ${text}`,
    );
  });

const isKubeProxyChain = ({ table, chain }: ChainFact): boolean =>
  table === kubeProxyTable || kubeProxyChain.test(chain);

const kubeProxyLeftovers = (facts: Facts): CheckResult => {
  const { serviceProxyName } = facts.configuration.settings.names;
  if (serviceProxyName !== '')
    return pass(`serviceProxyName ${serviceProxyName}: the rules of kube-proxy serve the other Services`);
  const chains = chainsOf(facts).filter(isKubeProxyChain);
  const sets = (valueOf(facts.ipsets) ?? []).filter((name) => kubeProxySet.test(name));
  const found = [
    ...(chains.length > 0
      ? [`${formatCount(chains.length, 'chain')} of kube-proxy in ${tableNames(chains)}`]
      : []),
    ...(sets.length > 0
      ? [`${formatCount(sets.length, 'ipset')} of kube-proxy: ${abbreviatedList(sets.toSorted(), 3)}`]
      : []),
  ];
  if (found.length > 0)
    return warn(found.join('; '), advise('Remove them.', 'kube-ipvs cleanup --kube-proxy'));
  const missing = [facts.chains, facts.legacyChains, facts.ipsets].find((fact) => 'unavailable' in fact);
  return missing === undefined || 'value' in missing
    ? pass('kube-proxy left no chain and no ipset')
    : unknown(missing.unavailable, ...missing.remedies);
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
        ...(isRouter
          ? [
              advise('Start kube-router with --run-service-proxy=false.'),
              advise('Remove what it left behind.', 'kube-router --cleanup-config'),
            ]
          : [advise('Upgrade the Helm release of Cilium with kubeProxyReplacement=false.')]),
      );
    },
    none: 'neither kube-router nor Cilium has chains on this node',
  });

const hostPorts = (facts: Facts): CheckResult =>
  checkChains(facts, ({ chain }) => /^(CNI-HOSTPORT-DNAT|KUBE-HOSTPORTS)$|^hostports/.test(chain), {
    found: (chains) =>
      warn(
        `rules for hostPorts in ${tableNames(chains)}: they redirect packets to local addresses, VIPs on kube-ipvs0 included, before IPVS sees them`,
        advise(
          'Give pods with a hostPort a port that no Service uses, or set hostIP to the address of the node.',
        ),
      ),
    none: 'no rules for hostPorts',
  });

const foreignVirtualServers = ({ status }: Facts): CheckResult =>
  checkFact(status, ({ contested: all }) =>
    all.length === 0
      ? pass('another program holds none of the virtual servers that Services request')
      : fail(
          abbreviatedList(
            all.map(
              ({ virtualServer, service }) =>
                `another program created ${virtualServer}, which Service ${service} requests`,
            ),
          ),
          ...all.slice(0, 3).map(({ service }) => takeOverRemedy(service)),
        ),
  );

const ipvsManagers = ({ programs }: Facts): CheckResult =>
  checkFact(programs, (all) => {
    const found = all.filter(({ name }) => name === 'keepalived' || name === 'kube-vip');
    return found.length === 0
      ? pass('no other program that manages IPVS is visible')
      : warn(
          `${abbreviatedList(found.map(({ name, pid }) => `${name} (process ${pid})`))} may manage virtual servers on this node`,
          advise(
            'List its addresses in ipvs.excludeCIDRs in the configuration: no Service can take them then.',
          ),
        );
  });

export const conflictChecks = checksInGroup('conflicts', [
  {
    id: 'two-proxies',
    title: 'other service proxies on this node',
    why: "Two proxies undo each other's changes, and connections break each time.",
    run: twoProxies,
  },
  {
    id: 'installed-kube-proxy',
    title: 'the DaemonSet, ConfigMap and pods of kube-proxy',
    why: 'A kube-proxy that is still installed, or that an upgrade installs again, fights with kube-ipvs.',
    run: installedKubeProxy,
  },
  {
    id: 'kube-proxy-leftovers',
    title: 'rules and ipsets that kube-proxy left behind',
    why: 'They redirect packets before IPVS sees them, to pods that no longer exist.',
    run: kubeProxyLeftovers,
  },
  {
    id: 'other-dataplanes',
    title: 'rules of kube-router and Cilium',
    why: 'Both can serve Services themselves; packets never reach IPVS then.',
    run: otherProxies,
  },
  {
    id: 'host-ports',
    title: "the CNI plugin's rules for hostPorts",
    why: 'A hostPort with the number of a Service port receives the packets for the VIP of that Service.',
    run: hostPorts,
  },
  {
    id: 'contested-servers',
    title: 'virtual servers of other programs that Services request',
    why: 'Connections to the Service go where the other program sends them: kube-ipvs does not change its virtual servers.',
    run: foreignVirtualServers,
  },
  {
    id: 'ipvs-managers',
    title: 'other programs that manage IPVS',
    why: 'They add virtual servers to the same table; a Service cannot use an address and port that they hold.',
    run: ipvsManagers,
  },
]);
