import { release } from 'node:os';
import type { Settings } from '../config/settings.js';
import { machineCpus } from '../kernel/cpus.js';
import { nftablesForwardFilters } from '../kernel/nftables/foreign/forward-filters.js';
import { legacyForwardFilters } from '../kernel/xtables/legacy-forward-filter.js';
import type { Service } from '../model/service.js';
import type { InstanceNames } from '../model/instance-names.js';
import type { StatusResponse } from '../admin-api/responses.js';
import type { CredentialSource } from '../watch/api/api-client.js';
import { apiFacts, apiServerAddress, apiServices, type ApiOptions } from './collect/api.js';
import { collectFact, FactUnavailableError } from './collect/collect-fact.js';
import { daemonFacts, metricsFacts } from './collect/daemon.js';
import {
  conntrackNetlink,
  dummyDriver,
  ipsetNames,
  ipvsTimeouts,
  legacyChains,
  networkFacts,
  nftablesChains,
  nftablesFamilies,
  ownRules,
  schedulers,
  syncDaemons,
  virtualServers,
} from './collect/kernel.js';
import {
  ipvsTable,
  isInitialNetwork,
  readKernelSettings,
  listeningPorts,
  localPorts,
  memoryFacts,
  processFacts,
  programs,
} from './collect/proc.js';
import type { Facts, FactSources } from './facts.js';
import { valueOf, type Fact } from './check-result.js';
import { dependentRules, kubeProxyFact, proxyMode } from './migration/collect-migration.js';
import { advise, runOnNode, seeChecks, type Remedy } from './remedy.js';

export interface CollectOptions {
  readonly configuration: Facts['configuration'];
  /** Takes precedence over that of the configuration. */
  readonly kubeconfig: string | undefined;
  /** Reads the Services from manifests instead of the API server. */
  readonly manifests: (() => readonly Service[]) | undefined;
  /** Queries the daemon's admin socket. */
  readonly status: () => Promise<
    { readonly response: StatusResponse } | { readonly response: undefined; readonly reason: string }
  >;
}

const giveKubeconfig = advise(
  'Give a kubeconfig with --kubeconfig=FILE, for example /etc/kubernetes/kubelet.conf.',
);

const credentialsOf = async (
  { kubeconfig }: CollectOptions,
  settings: Settings,
): Promise<Fact<CredentialSource>> =>
  collectFact(
    async () => {
      // Its package is large: it is loaded only when an API server is queried.
      const { loadCredentials } = await import('../watch/api/credentials.js');
      return loadCredentials({ kubeconfig: kubeconfig ?? settings.kubeconfig, master: settings.master });
    },
    'the kubeconfig',
    giveKubeconfig,
  );

/** Computes the value on first use and keeps it. */
const memoize = <T>(compute: () => T): (() => T) => {
  let cached: { readonly value: T } | undefined;
  return () => (cached ??= { value: compute() }).value;
};

/** The facts that come from the API server, or from manifests in its place. */
const apiSources = (
  options: CollectOptions,
): Pick<FactSources, 'api' | 'apiServerAddress'> & { services: () => Promise<Facts['services']> } => {
  const { manifests, configuration } = options;
  if (manifests !== undefined)
    return {
      api: () => ({ value: 'files' }),
      services: memoize(() =>
        collectFact(manifests, 'the manifests', advise('Check the manifests.', 'kube-ipvs render -f PATH')),
      ),
      apiServerAddress: () => undefined,
    };
  const credentials = memoize(() => credentialsOf(options, configuration.settings));
  const collect = async <T>(
    query: (options: ApiOptions) => T | Promise<T>,
    what: string,
    ...remedies: readonly Remedy[]
  ): Promise<Fact<T>> => {
    const found = await credentials();
    if (!('value' in found)) return found;
    const { nodeName, names } = configuration.settings;
    const api = { credentials: found.value, nodeName, serviceProxyName: names.serviceProxyName };
    return collectFact(() => query(api), what, ...remedies);
  };
  return {
    api: () => collect(apiFacts, 'the credential', giveKubeconfig),
    services: memoize(() => collect(apiServices, 'the Services', seeChecks('api-server', 'rights'))),
    apiServerAddress: async () => valueOf(await collect(apiServerAddress, 'the address of the API server')),
  };
};

/** Each requested scheduler, with the first object that requests it. */
const requestedSchedulers = (
  settings: Settings,
  services: readonly Service[],
): ReadonlyMap<string, string> => {
  const requesters = new Map([[settings.scheduler, 'the configuration']]);
  for (const { key, annotations } of services) {
    const { scheduler } = annotations;
    if (scheduler !== undefined && !requesters.has(scheduler)) requesters.set(scheduler, `Service ${key}`);
  }
  return requesters;
};

/** Unlike iptables-legacy -S, it does not make the kernel load tables. */
const legacySaveCommand = 'iptables-legacy-save && ip6tables-legacy-save';

const kernelSources = (names: InstanceNames) => ({
  ipvs: () => collectFact(ipvsTable, 'the IPVS table', runOnNode('ipvsadm -Ln')),
  ipvsTimeouts: () => collectFact(ipvsTimeouts, 'the timeouts of IPVS', runOnNode('ipvsadm -L --timeout')),
  virtualServers: () =>
    collectFact(() => virtualServers(names), 'the virtual servers', runOnNode('ipvsadm -Ln')),
  syncDaemons: () =>
    collectFact(syncDaemons, 'the daemons that synchronize connections', runOnNode('ipvsadm -L --daemon')),
  conntrackNetlink: () => collectFact(conntrackNetlink, 'conntrack over netlink', runOnNode('conntrack -C')),
  nftables: () =>
    collectFact(nftablesFamilies, 'which chains nftables supports', runOnNode('nft list tables')),
  chains: () => collectFact(nftablesChains, 'the chains of nftables', runOnNode('nft list chains')),
  legacyChains: () =>
    collectFact(legacyChains, 'the chains of iptables-legacy', runOnNode(legacySaveCommand)),
  ipsets: () => collectFact(ipsetNames, 'the ipsets', runOnNode('ipset list -name')),
  ownRules: () =>
    collectFact(() => ownRules(names), 'the packet rules', runOnNode(`nft list table ip ${names.table}`)),
  forwarding: () =>
    collectFact(
      nftablesForwardFilters,
      'the chains of nftables at the hook forward',
      runOnNode('nft list ruleset'),
    ),
  legacyForwarding: () =>
    collectFact(legacyForwardFilters, 'the chain FORWARD of iptables-legacy', runOnNode(legacySaveCommand)),
  network: () =>
    collectFact(() => networkFacts(names), 'interfaces, addresses and routes', runOnNode('ip address')),
  dummyDriver: () =>
    collectFact(dummyDriver, 'whether the kernel has a dummy driver', runOnNode('modprobe -n dummy')),
});

const procSources = () => {
  const runningPrograms = memoize(() =>
    collectFact(programs, 'which programs run', runOnNode('ps -eo pid,args')),
  );
  const daemon = async () => valueOf(await runningPrograms())?.find(({ name }) => name === 'kube-ipvs')?.pid;
  return {
    programs: runningPrograms,
    listening: () => collectFact(listeningPorts, 'the listening ports', runOnNode('ss -lnt')),
    localPorts: () =>
      collectFact(
        localPorts,
        'the range of local ports',
        runOnNode('sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports'),
      ),
    process: () =>
      collectFact(
        async () => processFacts(await daemon()),
        'the user and limits of the daemon',
        runOnNode('cat /proc/$(pgrep -of kube-ipvs)/{status,limits}'),
      ),
    memory: () =>
      collectFact(
        async () => memoryFacts(await daemon()),
        'the memory of the daemon',
        runOnNode('systemd-cgtop -m -n 1'),
      ),
  };
};

/** What only `migrate check` reads. */
const migrationSources = ({ nodeName, configuration }: Settings) => ({
  runningKubeProxy: () =>
    collectFact(
      () => kubeProxyFact(nodeName),
      'the kube-proxy of this node',
      runOnNode('ps -C kube-proxy -o pid,args'),
    ),
  proxyMode: () =>
    collectFact(
      () => proxyMode(configuration.metricsBindAddress),
      'the mode of kube-proxy',
      runOnNode('curl http://127.0.0.1:10249/proxyMode'),
    ),
  dependentRules: () =>
    collectFact(dependentRules, 'the rules of iptables-nft', runOnNode('iptables-nft-save')),
});

const statusResponse = async ({ status }: CollectOptions): Promise<StatusResponse> => {
  const result = await status();
  if (result.response === undefined) throw new FactUnavailableError(result.reason, seeChecks('daemon'));
  return result.response;
};

/** How to collect each fact. Changes nothing and starts no program. */
export const factSourcesFor = (options: CollectOptions): FactSources => {
  const { settings } = options.configuration;
  const { healthzBindAddress, metricsBindAddress } = settings.configuration;
  const api = apiSources(options);
  return {
    now: () => Date.now(),
    release,
    cpus: machineCpus,
    configuration: () => options.configuration,
    kernelSettings: readKernelSettings,
    initialNetwork: isInitialNetwork,
    ...procSources(),
    ...kernelSources(settings.names),
    ...api,
    schedulers: async () => {
      const services = valueOf(await api.services()) ?? [];
      return collectFact(
        () => schedulers(requestedSchedulers(settings, services)),
        'which schedulers are available',
        runOnNode(`modprobe -n ip_vs_${settings.scheduler}`),
      );
    },
    ...migrationSources(settings),
    daemon: () =>
      collectFact(() => daemonFacts(healthzBindAddress), 'the health port', seeChecks('configuration')),
    status: () => collectFact(() => statusResponse(options), 'the status of the daemon', seeChecks('daemon')),
    metrics: () => collectFact(() => metricsFacts(metricsBindAddress), 'the metrics', seeChecks('daemon')),
  };
};
