import { formatCount } from '../../base/text.js';
import { settingsChange } from '../../config/settings-change.js';
import { kubeProxyChain, kubeProxySet, kubeProxyTable } from '../../model/kube-proxy-names.js';
import { defaultInstance } from '../../model/instance-names.js';
import { checks } from '../all-checks.js';
import { checksInGroup, type Check } from '../check.js';
import {
  abbreviatedList,
  checkFact,
  fail,
  pass,
  unknown,
  valueOf,
  warn,
  type CheckResult,
} from '../check-result.js';
import { plannedKernelSettings } from '../checks/settings.js';
import type { ChainFact, Facts } from '../facts.js';
import { advise, seeChecks } from '../remedy.js';

const processesNamed = ({ programs }: Facts, wanted: string): readonly number[] =>
  (valueOf(programs) ?? []).filter(({ name }) => name === wanted).map(({ pid }) => pid);

const runningProxy = (facts: Facts): CheckResult => {
  const [kubeIpvs] = processesNamed(facts, 'kube-ipvs');
  if (kubeIpvs !== undefined)
    return fail(
      `kube-ipvs (process ${kubeIpvs}) runs on this node already`,
      advise('Check it.', 'kube-ipvs doctor'),
      advise('Or go back to kube-proxy.', 'kube-ipvs migrate back'),
    );
  return checkFact(facts.proxyMode, (mode) => {
    const pids = processesNamed(facts, 'kube-proxy');
    if (pids.length > 0)
      return mode === undefined
        ? warn(
            `kube-proxy (process ${pids.join(', ')}) runs, but has no rules in the kernel`,
            advise('Look for errors in its log.', 'kubectl -n kube-system logs ds/kube-proxy'),
          )
        : pass(`kube-proxy (process ${pids.join(', ')}) runs in mode ${mode}`);
    return warn(
      mode === undefined
        ? 'neither a process nor rules of kube-proxy are visible'
        : `rules of kube-proxy in mode ${mode}, but no process is visible`,
      advise(
        'If kube-proxy runs on this node, run this command in the process namespace of the node (hostPID: true).',
      ),
    );
  });
};

/** Fields that must differ, or that are the same after both programs have read them. */
const unimportantFields = /^(mode|hostnameOverride|clientConnection\.kubeconfig)\b/;

const configurationDifferences = (facts: Facts): CheckResult =>
  checkFact(facts.runningKubeProxy, (kubeProxy) => {
    if (kubeProxy === undefined)
      return unknown('no kube-proxy is visible to compare with', seeChecks('running-proxy'));
    return checkFact(kubeProxy.settings, (before) => {
      const { changed, fixed } = settingsChange(before, facts.configuration.settings);
      const all = [...changed, ...fixed].filter((field) => !unimportantFields.test(field));
      return all.length === 0
        ? pass('kube-ipvs has the same settings as the running kube-proxy')
        : warn(
            `kube-ipvs differs from the running kube-proxy: ${abbreviatedList(all, 8)}`,
            advise(
              'If a difference is not intended, copy the value of kube-proxy to the configuration of kube-ipvs.',
            ),
          );
    });
  });

const takenOver = (facts: Facts): CheckResult =>
  checkFact(facts.proxyMode, (mode) => {
    if (mode !== 'ipvs')
      return pass(
        `new connections go through IPVS and ${defaultInstance.dummyInterface}; open connections stay with the rules of kube-proxy`,
      );
    const servers = valueOf(facts.virtualServers)?.length;
    return pass(
      `${servers === undefined ? 'the virtual servers' : formatCount(servers, 'virtual server')} and ${defaultInstance.dummyInterface} are taken over with their connections`,
    );
  });

const kernelSettings = (facts: Facts): CheckResult => {
  const { changes, absent } = plannedKernelSettings(facts);
  const unreadable = changes.filter(({ previous }) => previous === 'unreadable');
  if (unreadable.length > 0)
    return unknown(`cannot read ${abbreviatedList(unreadable.map(({ setting }) => setting.name))}`);
  const texts = [
    ...changes.map(({ setting, previous, value }) => `${setting.name}: ${previous} becomes ${value}`),
    ...absent.map(({ setting, value }) => `${setting.name} becomes ${value} when its module is loaded`),
  ];
  return pass(texts.length === 0 ? 'no kernel setting changes' : texts.join(', '));
};

const isKubeProxyChain = ({ table, chain }: ChainFact): boolean =>
  table === kubeProxyTable || kubeProxyChain.test(chain);

const removedRules = (facts: Facts): CheckResult =>
  checkFact(facts.legacyChains, (legacy) => {
    const legacyCount = legacy.filter(isKubeProxyChain).length;
    if (legacyCount > 0)
      return warn(
        `${formatCount(legacyCount, 'chain')} of kube-proxy in iptables-legacy, which kube-ipvs cannot remove`,
        advise(
          'Run the commands of this list after the change, as root on the node.',
          'kube-ipvs cleanup --kube-proxy --dry-run',
        ),
      );
    const chains = (valueOf(facts.chains) ?? []).filter(isKubeProxyChain).length;
    const sets = (valueOf(facts.ipsets) ?? []).filter((name) => kubeProxySet.test(name)).length;
    return pass(
      `${formatCount(chains, 'chain')} and ${formatCount(sets, 'ipset')} of kube-proxy are removed after the change`,
    );
  });

const nodePorts = (facts: Facts): CheckResult =>
  checkFact(facts.services, (services) => {
    const mode = valueOf(facts.proxyMode);
    const ports = services.flatMap(({ ports: all }) => all.flatMap(({ nodePort }) => nodePort ?? []));
    const { nodePortAddresses } = facts.configuration.settings;
    const list = abbreviatedList(ports.map(String));
    if (ports.length === 0) return pass('no Service has a node port');
    if (mode === 'iptables')
      return warn(
        `node ports no longer answer on 127.0.0.1 (iptables.localhostNodePorts): ${list}`,
        advise('Use an address of the node, or the cluster IP of the Service.'),
      );
    if (mode === 'nftables' && nodePortAddresses !== 'primary' && nodePortAddresses.length === 0)
      return warn(
        `node ports answer on all addresses of the node, no longer on the primary ones only: ${list}`,
        advise('Set nodePortAddresses: [primary] in the configuration of kube-ipvs.'),
      );
    return pass(`node ports stay as they are: ${list}`);
  });

const dependentRules = ({ dependentRules: fact }: Facts): CheckResult =>
  checkFact(fact, (rules) => {
    const places = [...new Set(rules.map(({ family, table, chain }) => `${chain} (${family} ${table})`))];
    return places.length === 0
      ? pass('no rule of another program jumps to a chain of kube-proxy')
      : warn(
          `rules of other programs jump to chains of kube-proxy and are removed with them, in ${abbreviatedList(places)}`,
          advise(
            'Configure that program to mark packets itself. For the CNI plugin portmap: remove externalSetMarkChain.',
          ),
        );
  });

const networkPrograms = (facts: Facts): CheckResult =>
  checkFact(facts.programs, () => {
    const pids = processesNamed(facts, 'calico-node');
    const mode = valueOf(facts.proxyMode);
    if (pids.length === 0) return pass('no program that adapts to the mode of kube-proxy is visible');
    return mode === 'ipvs'
      ? pass(`calico-node (process ${pids.join(', ')}) already works beside IPVS`)
      : warn(
          `calico-node (process ${pids.join(', ')}): Felix restarts itself when ${defaultInstance.dummyInterface} appears`,
          advise('Migrate one node at a time, and wait until calico-node is ready before the next.'),
        );
  });

const ports = ({ configuration }: Facts): CheckResult => {
  const { healthzBindAddress, metricsBindAddress } = configuration.settings.configuration;
  const health = healthzBindAddress === '' ? 'no health port' : `health port ${healthzBindAddress}`;
  const isDefault = healthzBindAddress.endsWith(':10256');
  return isDefault
    ? pass(`${health}, metrics port ${metricsBindAddress}`)
    : warn(
        `${health}: load balancers with externalTrafficPolicy Cluster ask port 10256`,
        advise('Set healthzBindAddress: 0.0.0.0:10256 in the configuration.'),
      );
};

const kubeProxyChecks = checksInGroup('kube-proxy', [
  {
    id: 'running-proxy',
    title: 'the service proxy that runs on this node',
    why: 'The migration replaces a running kube-proxy; its mode decides what changes.',
    run: runningProxy,
  },
  {
    id: 'configuration-differences',
    title: 'the configuration against that of the running kube-proxy',
    why: 'A setting that only one of the two has changes how Services behave.',
    run: configurationDifferences,
  },
]);

const changeChecks = checksInGroup('changes', [
  {
    id: 'taken-over',
    title: 'virtual servers and connections',
    why: 'Connections through objects that are taken over continue.',
    run: takenOver,
  },
  {
    id: 'kernel-settings',
    title: 'kernel settings that kube-ipvs sets at its start',
    why: 'They are settings of the whole node, and stay after kube-ipvs is removed.',
    run: kernelSettings,
  },
  {
    id: 'removed-rules',
    title: 'rules and ipsets that kube-proxy leaves',
    why: 'No program updates them after the change: they would drop or misdirect packets.',
    run: removedRules,
  },
  {
    id: 'node-ports',
    title: 'addresses on which node ports answer',
    why: 'The modes of kube-proxy differ in these addresses; clients of the others get no answer.',
    run: nodePorts,
  },
]);

const dependencyChecks = checksInGroup('dependencies', [
  {
    id: 'dependent-rules',
    title: 'rules of other programs that use chains of kube-proxy',
    why: 'A rule cannot stay when the chain to which it jumps is removed.',
    run: dependentRules,
  },
  {
    id: 'network-programs',
    title: 'programs that adapt to the mode of kube-proxy',
    why: 'They may restart, or work differently, when the mode changes.',
    run: networkPrograms,
  },
  {
    id: 'ports',
    title: 'the health and metrics ports',
    why: 'Load balancers and Prometheus find kube-ipvs where they found kube-proxy.',
    run: ports,
  },
]);

/**
 * Checks of the doctor that matter before kube-ipvs has ever run on the node. Those of its credential and rights do not: another
 * identity runs this command.
 */
const doctorChecks: readonly string[] = [
  'kernel-version network-namespace dummy-driver estimators',
  // The check of the schedulers has the kernel load IPVS.
  'schedulers ipvs defences tunnel-mtu',
  'ipv6-forwarding reverse-path strict-arp bridge-netfilter local-ports',
  'conntrack conntrack-limit nftables forward-policy input-policy',
  'vip-clash vip-elsewhere node-local-dns other-dataplanes host-ports ipvs-managers',
  'api-server clock node-object configuration',
].flatMap((ids) => ids.split(' '));

/** What `migrate check` runs, in the order of the report. */
export const migrationChecks: readonly Check[] = [
  ...kubeProxyChecks,
  ...changeChecks,
  ...dependencyChecks,
  ...doctorChecks.flatMap((wanted) => checks.find(({ id }) => id === wanted) ?? []),
];
