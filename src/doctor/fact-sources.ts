import { release } from 'node:os';
import type { Settings } from '../config/settings.js';
import { machineCpus } from '../kernel/cpus.js';
import { nftablesForwardFilters } from '../kernel/nftables/foreign/forward-filters.js';
import { legacyForwardFilters } from '../kernel/xtables/legacy-forward-filter.js';
import type { Service } from '../model/service.js';
import { tableName } from '../nftables/declarations.js';
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
import { onNode, valueOf, type Fact } from './check-result.js';

export interface CollectOptions {
  readonly configuration: Facts['configuration'];
  /** Goes before that of the configuration. */
  readonly kubeconfig: string | undefined;
  /** The Services of manifests, where no API server is to be asked. */
  readonly manifests: (() => readonly Service[]) | undefined;
  /** Asks the daemon's admin socket. */
  readonly status: () => Promise<
    { readonly response: StatusResponse } | { readonly response: undefined; readonly reason: string }
  >;
}

const credentialsOf = async (
  { kubeconfig }: CollectOptions,
  settings: Settings,
): Promise<Fact<CredentialSource>> =>
  collectFact(
    async () => {
      // It brings a big package, which only those wait for who ask an API server.
      const { loadCredentials } = await import('../watch/api/credentials.js');
      return loadCredentials({ kubeconfig: kubeconfig ?? settings.kubeconfig, master: settings.master });
    },
    'the kubeconfig',
    '--kubeconfig=FILE, as /etc/kubernetes/kubelet.conf',
  );

/** Done when it is first asked for, and then known. */
const memoize = <T>(compute: () => T): (() => T) => {
  let cached: { readonly value: T } | undefined;
  return () => (cached ??= { value: compute() }).value;
};

/** What is asked of the API server; each of its looks says why where none can be. */
const apiSources = (
  options: CollectOptions,
): Pick<FactSources, 'api' | 'apiServerAddress'> & { services: () => Promise<Facts['services']> } => {
  const { manifests, configuration } = options;
  if (manifests !== undefined)
    return {
      api: () => ({ value: 'files' }),
      services: memoize(() => collectFact(manifests, 'the manifests', 'kube-ipvs render -f PATH')),
      apiServerAddress: () => undefined,
    };
  const credentials = memoize(() => credentialsOf(options, configuration.settings));
  const collect = async <T>(
    query: (options: ApiOptions) => T | Promise<T>,
    what: string,
    remedy: string,
  ): Promise<Fact<T>> => {
    const found = await credentials();
    if (!('value' in found)) return found;
    const asked = { credentials: found.value, nodeName: configuration.settings.nodeName };
    return collectFact(() => query(asked), what, remedy);
  };
  return {
    api: () => collect(apiFacts, 'the credential', '--kubeconfig=FILE, as /etc/kubernetes/kubelet.conf'),
    services: memoize(() => collect(apiServices, 'the Services', 'see the checks api-server and rights')),
    apiServerAddress: async () =>
      valueOf(await collect(apiServerAddress, 'the address of the API server', '')),
  };
};

/** Each scheduler that somebody wants, with the first who does. */
const requestedSchedulers = (
  settings: Settings,
  services: readonly Service[],
): ReadonlyMap<string, string> => {
  const requesters = new Map([[settings.scheduler, 'the configuration']]);
  for (const { key, scheduler } of services)
    if (scheduler !== undefined && !requesters.has(scheduler)) requesters.set(scheduler, `Service ${key}`);
  return requesters;
};

/** Prints the tables that there are. Unlike iptables-legacy -S it makes the kernel load none. */
const legacySaveCommand = 'iptables-legacy-save && ip6tables-legacy-save';

const kernelSources = {
  ipvs: () => collectFact(ipvsTable, 'the IPVS table', onNode('ipvsadm -Ln')),
  ipvsTimeouts: () => collectFact(ipvsTimeouts, 'the timeouts of IPVS', onNode('ipvsadm -L --timeout')),
  virtualServers: () => collectFact(virtualServers, 'the virtual servers', onNode('ipvsadm -Ln')),
  conntrackNetlink: () => collectFact(conntrackNetlink, 'conntrack over netlink', onNode('conntrack -C')),
  nftables: () => collectFact(nftablesFamilies, 'which chains nftables takes', onNode('nft list tables')),
  chains: () => collectFact(nftablesChains, 'the chains of nftables', onNode('nft list chains')),
  legacyChains: () => collectFact(legacyChains, 'the chains of iptables-legacy', onNode(legacySaveCommand)),
  ipsets: () => collectFact(ipsetNames, 'the sets of ipset', onNode('ipset list -name')),
  ownRules: () => collectFact(ownRules, 'the packet rules', onNode(`nft list table ip ${tableName}`)),
  forwarding: () =>
    collectFact(nftablesForwardFilters, 'what nftables does at the hook forward', onNode('nft list ruleset')),
  legacyForwarding: () =>
    collectFact(legacyForwardFilters, 'the chain FORWARD of iptables-legacy', onNode(legacySaveCommand)),
  network: () => collectFact(networkFacts, 'interfaces, addresses and routes', onNode('ip address')),
  dummyDriver: () => collectFact(dummyDriver, 'whether there is a dummy driver', onNode('modprobe -n dummy')),
} as const;

const procSources = () => {
  const runningPrograms = memoize(() =>
    collectFact(programs, 'which programs run', onNode('ps -eo pid,args')),
  );
  const daemon = async () => valueOf(await runningPrograms())?.find(({ name }) => name === 'kube-ipvs')?.pid;
  return {
    programs: runningPrograms,
    listening: () => collectFact(listeningPorts, 'the ports that are listened at', onNode('ss -lnt')),
    localPorts: () =>
      collectFact(
        localPorts,
        'the range of local ports',
        onNode('sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports'),
      ),
    process: () =>
      collectFact(
        async () => processFacts(await daemon()),
        'the user and limits of the daemon',
        onNode('cat /proc/$(pgrep -of kube-ipvs)/{status,limits}'),
      ),
    memory: () =>
      collectFact(
        async () => memoryFacts(await daemon()),
        'the memory of the daemon',
        onNode('systemd-cgtop -m -n 1'),
      ),
  };
};

const statusResponse = async ({ status }: CollectOptions): Promise<StatusResponse> => {
  const result = await status();
  if (result.response === undefined) throw new FactUnavailableError(result.reason, 'see the check daemon');
  return result.response;
};

/** How to look at each thing; nothing that fails stops the rest. Changes nothing and starts no program. */
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
    ...kernelSources,
    ...api,
    schedulers: async () => {
      const services = valueOf(await api.services()) ?? [];
      return collectFact(
        () => schedulers(requestedSchedulers(settings, services)),
        'which schedulers there are',
        onNode(`modprobe -n ip_vs_${settings.scheduler}`),
      );
    },
    daemon: () =>
      collectFact(() => daemonFacts(healthzBindAddress), 'the health port', 'see the check configuration'),
    status: () => collectFact(() => statusResponse(options), 'what the daemon tells', 'see the check daemon'),
    metrics: () => collectFact(() => metricsFacts(metricsBindAddress), 'the metrics', 'see the check daemon'),
  };
};
