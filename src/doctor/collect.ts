import { release } from 'node:os';
import type { Settings } from '../config/settings.js';
import { machineCpus } from '../kernel/cpus.js';
import { nftablesForwardFilters } from '../kernel/nftables/forward-filters.js';
import { legacyForwardFilters } from '../kernel/xtables/forward-filter.js';
import type { Service } from '../model/service.js';
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
import { valueOf, type Look } from './finding.js';

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

const withRemedy = <T>(look: Look<T>, remedy: string): Look<T> =>
  'value' in look ? look : { ...look, remedy };

const credentialsOf = async (
  { kubeconfig }: CollectOptions,
  settings: Settings,
): Promise<Look<CredentialSource>> =>
  withRemedy(
    await attempt(async () => {
      // It brings a big package, which only those wait for who ask an API server.
      const { loadCredentials } = await import('../watch/credentials.js');
      return loadCredentials({ kubeconfig: kubeconfig ?? settings.kubeconfig, master: settings.master });
    }),
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
      services: once(() => attempt(manifests)),
      apiServerAddress: () => undefined,
    };
  const credentials = once(() => credentialsOf(options, configuration.settings));
  const ask = async <T>(what: (asked: ApiOptions) => T | Promise<T>): Promise<Look<T>> => {
    const found = await credentials();
    if (!('value' in found)) return found;
    return attempt(() => what({ credentials: found.value, nodeName: configuration.settings.nodeName }));
  };
  return {
    api: () => ask(apiFacts),
    services: once(async () => {
      const found = await credentials();
      if (!('value' in found)) return found;
      return withRemedy(await ask(apiServices), 'see the checks api-server and rights');
    }),
    apiServerAddress: async () => valueOf(await ask(apiServerAddress)),
  };
};

/** Each scheduler that somebody wants, with the first who does. */
const wantedSchedulers = (settings: Settings, services: readonly Service[]): ReadonlyMap<string, string> => {
  const wanted = new Map([[settings.scheduler, 'the configuration']]);
  for (const { key, scheduler } of services)
    if (scheduler !== undefined && !wanted.has(scheduler)) wanted.set(scheduler, `Service ${key}`);
  return wanted;
};

const fromKernel = {
  ipvs: () => attempt(ipvsTable),
  ipvsTimeouts: () => attempt(ipvsTimeouts),
  virtualServers: () => attempt(virtualServers),
  conntrackNetlink: () => attempt(conntrackNetlink),
  nftables: () => attempt(nftablesFamilies),
  chains: () => attempt(nftablesChains),
  legacyChains: () => attempt(legacyChains),
  ipsets: () => attempt(ipsetNames),
  ownRules: () => attempt(ownRules),
  forwarding: () => attempt(nftablesForwardFilters),
  legacyForwarding: () => attempt(legacyForwardFilters),
  network: () => attempt(networkFacts),
  dummyDriver: () => attempt(dummyDriver),
} as const;

const fromProc = () => {
  const found = once(() => attempt(programs));
  const daemon = async () => valueOf(await found())?.find(({ name }) => name === 'kube-ipvs')?.pid;
  return {
    programs: found,
    listening: () => attempt(listeningPorts),
    localPorts: () => attempt(localPorts),
    process: () => attempt(async () => processFacts(await daemon())),
    memory: () => attempt(async () => memoryFacts(await daemon())),
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
      return attempt(() => schedulers(wantedSchedulers(settings, services)));
    },
    daemon: () => attempt(() => daemonFacts(healthzBindAddress)),
    status: () => attempt(() => fromAdmin(options)),
    metrics: () => attempt(() => metricsFacts(metricsBindAddress)),
  };
};
