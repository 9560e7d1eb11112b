import { release } from 'node:os';
import type { Settings } from '../config/settings.js';
import { machineCpus } from '../kernel/cpus.js';
import { nftablesForwardFilters } from '../kernel/nftables/forward-filters.js';
import { legacyForwardFilters } from '../kernel/xtables/forward-filter.js';
import type { Service } from '../model/service.js';
import type { StatusAnswer } from '../plan/admin-answers.js';
import type { CredentialSource } from '../watch/api-client.js';
import { loadCredentials } from '../watch/credentials.js';
import { apiFacts, apiServerAddress, apiServices, type ApiOptions } from './collect/api.js';
import { attempt, UnseenError } from './collect/attempt.js';
import { daemonFacts, metricsFacts } from './collect/daemon.js';
import {
  conntrackNetlink,
  dummyDriver,
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
import type { Facts } from './facts.js';
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

const noApi = {
  unseen: 'no API server is asked: the Services come from files',
  remedy: 'without --source, and with --kubeconfig=FILE',
} as const;

const withRemedy = <T>(look: Look<T>, remedy: string): Look<T> =>
  'value' in look ? look : { ...look, remedy };

const credentialsOf = async (
  { manifests, kubeconfig }: CollectOptions,
  settings: Settings,
): Promise<Look<CredentialSource>> =>
  manifests === undefined
    ? withRemedy(
        await attempt(() =>
          loadCredentials({ kubeconfig: kubeconfig ?? settings.kubeconfig, master: settings.master }),
        ),
        '--kubeconfig=FILE, as /etc/kubernetes/kubelet.conf',
      )
    : noApi;

/** What is asked of the API server; each of its looks says why where none can be. */
const fromApi = async (
  options: CollectOptions,
): Promise<Pick<Facts, 'api' | 'services' | 'apiServerAddress'>> => {
  const { settings } = options.configuration;
  const credentials = await credentialsOf(options, settings);
  const { manifests } = options;
  if (!('value' in credentials)) {
    const services = manifests === undefined ? credentials : await attempt(manifests);
    return { api: credentials, services, apiServerAddress: undefined };
  }
  const asked: ApiOptions = { credentials: credentials.value, nodeName: settings.nodeName };
  const [api, services] = await Promise.all([
    attempt(() => apiFacts(asked)),
    attempt(() => apiServices(asked)),
  ]);
  return {
    api,
    services: withRemedy(services, 'see the checks api-server and rights'),
    apiServerAddress: apiServerAddress(asked),
  };
};

/** Each scheduler that somebody wants, with the first who does. */
const wantedSchedulers = (settings: Settings, services: readonly Service[]): ReadonlyMap<string, string> => {
  const wanted = new Map([[settings.scheduler, 'the configuration']]);
  for (const { key, scheduler } of services)
    if (scheduler !== undefined && !wanted.has(scheduler)) wanted.set(scheduler, `Service ${key}`);
  return wanted;
};

const fromKernel = async (settings: Settings, services: readonly Service[]) => ({
  ipvs: await attempt(ipvsTable),
  ipvsTimeouts: await attempt(ipvsTimeouts),
  virtualServers: await attempt(virtualServers),
  schedulers: await attempt(() => schedulers(wantedSchedulers(settings, services))),
  conntrackNetlink: await attempt(conntrackNetlink),
  nftables: await attempt(nftablesFamilies),
  chains: await attempt(nftablesChains),
  legacyChains: await attempt(legacyChains),
  ownRules: await attempt(ownRules),
  forwarding: await attempt(nftablesForwardFilters),
  legacyForwarding: await attempt(legacyForwardFilters),
  network: await attempt(networkFacts),
  dummyDriver: await attempt(dummyDriver),
});

const fromProc = async () => {
  const found = await attempt(programs);
  const daemon = valueOf(found)?.find(({ name }) => name === 'kube-ipvs')?.pid;
  return {
    programs: found,
    listening: await attempt(listeningPorts),
    localPorts: await attempt(localPorts),
    process: await attempt(() => processFacts(daemon)),
    memory: await attempt(() => memoryFacts(daemon)),
  };
};

const fromAdmin = async ({ status }: CollectOptions): Promise<StatusAnswer> => {
  const told = await status();
  if (told.answer === undefined) throw new UnseenError(told.why, 'see the check daemon');
  return told.answer;
};

/** Looks at everything; nothing that fails stops the rest. Changes nothing and starts no program. */
export const collect = async (options: CollectOptions): Promise<Facts> => {
  const { settings } = options.configuration;
  const { healthzBindAddress, metricsBindAddress } = settings.configuration;
  const api = await fromApi(options);
  return {
    now: Date.now(),
    release: release(),
    cpus: machineCpus(),
    configuration: options.configuration,
    numbers: kernelNumbers(),
    initialNetwork: isInitialNetwork(),
    ...(await fromProc()),
    ...(await fromKernel(settings, valueOf(api.services) ?? [])),
    ...api,
    daemon: await attempt(() => daemonFacts(healthzBindAddress)),
    status: await attempt(() => fromAdmin(options)),
    metrics: await attempt(() => metricsFacts(metricsBindAddress)),
  };
};
