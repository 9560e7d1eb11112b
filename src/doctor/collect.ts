import { release } from 'node:os';
import type { Settings } from '../config/settings.js';
import { machineCpus } from '../kernel/cpus.js';
import { nftablesForwardFilters } from '../kernel/nftables/forward-filters.js';
import { legacyForwardFilters } from '../kernel/xtables/forward-filter.js';
import type { Service } from '../model/service.js';
import { tableName } from '../model/nftables.js';
import type { StatusAnswer } from '../plan/admin-answers.js';
import type { CredentialSource } from '../watch/api-client.js';
import { apiFacts, apiServerAddress, apiServices, type ApiOptions } from './collect/api.js';
import { attempt, UnseenError } from './collect/attempt.js';
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
  kernelNumbers,
  listeningPorts,
  localPorts,
  memoryFacts,
  processFacts,
  programs,
} from './collect/proc.js';
import type { Facts, Sources } from './facts.js';
import { onNode, valueOf, type Look } from './finding.js';

export interface CollectOptions {
  readonly configuration: Facts['configuration'];
  /** Goes before that of the configuration. */
  readonly kubeconfig: string | undefined;
  /** The Services of manifests, where no API server is to be asked. */
  readonly manifests: (() => readonly Service[]) | undefined;
  /** Asks the daemon's admin socket. */
  readonly status: () => Promise<
    { readonly answer: StatusAnswer } | { readonly answer: undefined; readonly why: string }
  >;
}

const credentialsOf = async (
  { kubeconfig }: CollectOptions,
  settings: Settings,
): Promise<Look<CredentialSource>> =>
  attempt(
    async () => {
      // It brings a big package, which only those wait for who ask an API server.
      const { loadCredentials } = await import('../watch/credentials.js');
      return loadCredentials({ kubeconfig: kubeconfig ?? settings.kubeconfig, master: settings.master });
    },
    'the kubeconfig',
    '--kubeconfig=FILE, as /etc/kubernetes/kubelet.conf',
  );

/** Done when it is first asked for, and then known. */
const once = <T>(work: () => T): (() => T) => {
  let known: { readonly value: T } | undefined;
  return () => (known ??= { value: work() }).value;
};

/** What is asked of the API server; each of its looks says why where none can be. */
const fromApi = (
  options: CollectOptions,
): Pick<Sources, 'api' | 'apiServerAddress'> & { services: () => Promise<Facts['services']> } => {
  const { manifests, configuration } = options;
  if (manifests !== undefined)
    return {
      api: () => ({ value: 'files' }),
      services: once(() => attempt(manifests, 'the manifests', 'kube-ipvs render -f PATH')),
      apiServerAddress: () => undefined,
    };
  const credentials = once(() => credentialsOf(options, configuration.settings));
  const ask = async <T>(
    question: (asked: ApiOptions) => T | Promise<T>,
    what: string,
    remedy: string,
  ): Promise<Look<T>> => {
    const found = await credentials();
    if (!('value' in found)) return found;
    const asked = { credentials: found.value, nodeName: configuration.settings.nodeName };
    return attempt(() => question(asked), what, remedy);
  };
  return {
    api: () => ask(apiFacts, 'the credential', '--kubeconfig=FILE, as /etc/kubernetes/kubelet.conf'),
    services: once(() => ask(apiServices, 'the Services', 'see the checks api-server and rights')),
    apiServerAddress: async () => valueOf(await ask(apiServerAddress, 'the address of the API server', '')),
  };
};

/** Each scheduler that somebody wants, with the first who does. */
const wantedSchedulers = (settings: Settings, services: readonly Service[]): ReadonlyMap<string, string> => {
  const wanted = new Map([[settings.scheduler, 'the configuration']]);
  for (const { key, scheduler } of services)
    if (scheduler !== undefined && !wanted.has(scheduler)) wanted.set(scheduler, `Service ${key}`);
  return wanted;
};

/** Prints the tables that there are. Unlike iptables-legacy -S it makes the kernel load none. */
const legacySave = 'iptables-legacy-save && ip6tables-legacy-save';

const fromKernel = {
  ipvs: () => attempt(ipvsTable, 'the IPVS table', onNode('ipvsadm -Ln')),
  ipvsTimeouts: () => attempt(ipvsTimeouts, 'the timeouts of IPVS', onNode('ipvsadm -L --timeout')),
  virtualServers: () => attempt(virtualServers, 'the virtual servers', onNode('ipvsadm -Ln')),
  conntrackNetlink: () => attempt(conntrackNetlink, 'conntrack over netlink', onNode('conntrack -C')),
  nftables: () => attempt(nftablesFamilies, 'which chains nftables takes', onNode('nft list tables')),
  chains: () => attempt(nftablesChains, 'the chains of nftables', onNode('nft list chains')),
  legacyChains: () => attempt(legacyChains, 'the chains of iptables-legacy', onNode(legacySave)),
  ipsets: () => attempt(ipsetNames, 'the sets of ipset', onNode('ipset list -name')),
  ownRules: () => attempt(ownRules, 'the packet rules', onNode(`nft list table ip ${tableName}`)),
  forwarding: () =>
    attempt(nftablesForwardFilters, 'what nftables does at the hook forward', onNode('nft list ruleset')),
  legacyForwarding: () =>
    attempt(legacyForwardFilters, 'the chain FORWARD of iptables-legacy', onNode(legacySave)),
  network: () => attempt(networkFacts, 'interfaces, addresses and routes', onNode('ip address')),
  dummyDriver: () => attempt(dummyDriver, 'whether there is a dummy driver', onNode('modprobe -n dummy')),
} as const;

const fromProc = () => {
  const found = once(() => attempt(programs, 'which programs run', onNode('ps -eo pid,args')));
  const daemon = async () => valueOf(await found())?.find(({ name }) => name === 'kube-ipvs')?.pid;
  return {
    programs: found,
    listening: () => attempt(listeningPorts, 'the ports that are listened at', onNode('ss -lnt')),
    localPorts: () =>
      attempt(
        localPorts,
        'the range of local ports',
        onNode('sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports'),
      ),
    process: () =>
      attempt(
        async () => processFacts(await daemon()),
        'the user and limits of the daemon',
        onNode('cat /proc/$(pgrep -of kube-ipvs)/{status,limits}'),
      ),
    memory: () =>
      attempt(
        async () => memoryFacts(await daemon()),
        'the memory of the daemon',
        onNode('systemd-cgtop -m -n 1'),
      ),
  };
};

const fromAdmin = async ({ status }: CollectOptions): Promise<StatusAnswer> => {
  const told = await status();
  if (told.answer === undefined) throw new UnseenError(told.why, 'see the check daemon');
  return told.answer;
};

/** How to look at each thing; nothing that fails stops the rest. Changes nothing and starts no program. */
export const sourcesFor = (options: CollectOptions): Sources => {
  const { settings } = options.configuration;
  const { healthzBindAddress, metricsBindAddress } = settings.configuration;
  const api = fromApi(options);
  return {
    now: () => Date.now(),
    release,
    cpus: machineCpus,
    configuration: () => options.configuration,
    numbers: kernelNumbers,
    initialNetwork: isInitialNetwork,
    ...fromProc(),
    ...fromKernel,
    ...api,
    schedulers: async () => {
      const services = valueOf(await api.services()) ?? [];
      return attempt(
        () => schedulers(wantedSchedulers(settings, services)),
        'which schedulers there are',
        onNode(`modprobe -n ip_vs_${settings.scheduler}`),
      );
    },
    daemon: () =>
      attempt(() => daemonFacts(healthzBindAddress), 'the health port', 'see the check configuration'),
    status: () => attempt(() => fromAdmin(options), 'what the daemon tells', 'see the check daemon'),
    metrics: () => attempt(() => metricsFacts(metricsBindAddress), 'the metrics', 'see the check daemon'),
  };
};
