import { InputError } from '../base/errors.js';
import type { Cidr } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';
import { adminSocketPath, type Environment } from './admin-socket.js';
import {
  documentOrigin,
  readDocuments,
  readAndValidate,
  type ConfigDocument,
  type ConfigFile,
} from './configuration-file.js';
import { gateEnabled } from './feature-gates.js';
import { flagIsSet, flagText, UsageError, type FlagValues } from './parse-flags.js';
import { kernelSchedulers } from './known-values.js';
import {
  readKubeIpvsConfiguration,
  type KubeIpvsConfiguration,
  type KubeProxyConfiguration,
} from './kube-proxy-configuration.js';
import { resolveConfiguration } from './resolve-configuration.js';
import { parseClusterCidrs, validateKubeIpvs } from './validate-configuration.js';

/** Where Services, EndpointSlices and the Node come from. */
export type SourceSetting =
  | { readonly from: 'api' }
  | { readonly from: 'manifests' /** A file or a folder. */; readonly path: string };

/** kube-proxy's detectLocalMode with what it needs. */
export type PodDetection =
  | { readonly mode: 'ClusterCIDR' | 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly name: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string };

/** What the kernel's connection tracking is set to; 0 or false: its own is left alone. Times are milliseconds. */
export type ConntrackSettings = Readonly<KubeProxyConfiguration['conntrack']>;

/** Everything flags and config files decide, resolved and frozen. Times are milliseconds. */
export interface Settings {
  /** metadata.name of our Node: --hostname-override, hostnameOverride or the machine's name; trimmed, in lower case. */
  readonly nodeName: string;
  readonly source: SourceSetting;
  /** Program the kernel once and exit. */
  readonly once: boolean;
  /** Print the plan and touch nothing. */
  readonly dryRun: boolean;
  /** Set the kernel up and exit. */
  readonly initOnly: boolean;
  /** The path of the unix socket that tells the state of the daemon; '': none. */
  readonly adminSocket: string;
  /** Where to write the configuration, and exit. */
  readonly writeConfigTo: string | undefined;
  /** The scheduler of every Service that names none. The kernel decides whether it has it. */
  readonly scheduler: string;
  readonly syncPeriod: number;
  /** 0: a change is programmed as soon as it is known. */
  readonly minSyncPeriod: number;
  /** Virtual servers within these are never deleted. */
  readonly excludeCidrs: readonly Cidr[];
  readonly strictArp: boolean;
  /** 0: the kernel's own is left alone. */
  readonly tcpTimeout: number;
  readonly tcpFinTimeout: number;
  readonly udpTimeout: number;
  /** Networks whose local addresses serve NodePorts; []: all; 'primary': those of the Node (see primary-addresses.ts). */
  readonly nodePortAddresses: readonly Cidr[] | 'primary';
  /** Networks of the pods; at most one a family. */
  readonly clusterCidrs: readonly Cidr[];
  /** How packets of pods are told from others; pod-traffic.ts makes detectors of it. */
  readonly podDetection: PodDetection;
  /** Every packet to a ClusterIP is masqueraded, whoever sends it. */
  readonly masqueradeAll: boolean;
  /** The one bit of the packet mark that asks for masquerading, 1 to 2^31. */
  readonly masqueradeMark: number;
  readonly conntrack: ConntrackSettings;
  /** spec.externalIPs are programmed (feature gate AllowServiceExternalIPs). */
  readonly externalIpsAllowed: boolean;
  /** How long a removed endpoint may keep its connections; 0: it is deleted at once. */
  readonly drainDeadlines: Readonly<Record<Protocol, number>>;
  /** Traffic of single Services on the metrics page: of how many ports of Services at most. */
  readonly perServiceMetrics: Readonly<KubeIpvsConfiguration['metrics']['perService']>;
  /** Where an nftables chain of others drops the answers of pods, a rule of ours at its head accepts them. */
  readonly acceptInForeignChains: boolean;
  readonly kubeconfig: string | undefined;
  /** URL of the API server that wins over the kubeconfig. */
  readonly master: string | undefined;
  readonly qps: number;
  readonly burst: number;
  /** As klog's -v. */
  readonly verbosity: number;
  readonly logFormat: 'text' | 'json';
  /** Of this process, -1000 to 1000. */
  readonly oomScoreAdj: number;
  readonly configFiles: readonly string[];
  /** As they were given. */
  readonly flags: FlagValues;
  /** The whole configuration behind this, defaults filled in. */
  readonly configuration: KubeProxyConfiguration;
  /** What stands behind it of ours, defaults filled in. */
  readonly kubeIpvs: KubeIpvsConfiguration;
  /** For the log at start, one line each. */
  readonly warnings: readonly string[];
}

export interface SettingsInput {
  readonly flags: FlagValues;
  /** What --config names, read by the caller. */
  readonly files: readonly ConfigFile[];
  /** os.hostname(). */
  readonly hostname: string;
  /** process.env; empty where nothing is said. */
  readonly environment?: Environment;
}

const resolveKubeIpvsConfiguration = (
  document: ConfigDocument | undefined,
): { readonly kubeIpvs: KubeIpvsConfiguration; readonly warnings: readonly string[] } => {
  const origin = documentOrigin(document);
  const { value, warnings } = readAndValidate(document?.value ?? {}, {
    read: readKubeIpvsConfiguration,
    validate: validateKubeIpvs,
    origin,
  });
  return {
    kubeIpvs: value,
    warnings: [...(document?.warnings ?? []), ...warnings],
  };
};

const schedulerWarnings = (scheduler: string): readonly string[] =>
  kernelSchedulers.includes(scheduler)
    ? []
    : [
        `scheduler ${scheduler} is none that Linux is known to have (${kernelSchedulers.join(' ')}); the kernel decides`,
      ];

const sourceOf = (flags: FlagValues): SourceSetting => {
  const source = flagText(flags, 'source') ?? 'api';
  return source === 'api' ? { from: 'api' } : { from: 'manifests', path: source };
};

const resolveNodeName = (configuration: KubeProxyConfiguration, hostname: string): string => {
  const name = (configuration.hostnameOverride || hostname).trim().toLowerCase();
  if (name === '')
    throw new InputError('this machine has no name; give the name of its Node with --hostname-override=NAME');
  return name;
};

const ipvsSettings = ({ ipvs }: KubeProxyConfiguration) => ({
  scheduler: ipvs.scheduler || 'rr',
  syncPeriod: ipvs.syncPeriod,
  minSyncPeriod: ipvs.minSyncPeriod,
  excludeCidrs: ipvs.excludeCIDRs,
  strictArp: ipvs.strictARP,
  tcpTimeout: ipvs.tcpTimeout,
  tcpFinTimeout: ipvs.tcpFinTimeout,
  udpTimeout: ipvs.udpTimeout,
});

const nodePortAddressesOf = ({ nodePortAddresses }: KubeProxyConfiguration): readonly Cidr[] | 'primary' =>
  nodePortAddresses.includes('primary')
    ? 'primary'
    : nodePortAddresses.filter((address) => address !== 'primary');

const podDetectionOf = ({ detectLocalMode, detectLocal }: KubeProxyConfiguration): PodDetection => {
  switch (detectLocalMode) {
    case 'BridgeInterface':
      return { mode: 'BridgeInterface', name: detectLocal.bridgeInterface };
    case 'InterfaceNamePrefix':
      return { mode: 'InterfaceNamePrefix', prefix: detectLocal.interfaceNamePrefix };
    case 'NodeCIDR':
      return { mode: 'NodeCIDR' };
    default:
      return { mode: 'ClusterCIDR' };
  }
};

const trafficSettings = (configuration: KubeProxyConfiguration) => ({
  podDetection: podDetectionOf(configuration),
  masqueradeAll: configuration.iptables.masqueradeAll,
  masqueradeMark: 2 ** configuration.iptables.masqueradeBit,
  conntrack: configuration.conntrack,
});

const clusterSettings = ({ clientConnection, clusterCIDR, featureGates }: KubeProxyConfiguration) => ({
  clusterCidrs: parseClusterCidrs(clusterCIDR) ?? [],
  externalIpsAllowed: gateEnabled(featureGates, 'AllowServiceExternalIPs'),
  kubeconfig: clientConnection.kubeconfig || undefined,
  qps: clientConnection.qps,
  burst: clientConnection.burst,
});

const processSettings = ({ logging, oomScoreAdj }: KubeProxyConfiguration) => ({
  verbosity: logging.verbosity,
  logFormat: logging.format === 'json' ? ('json' as const) : ('text' as const),
  oomScoreAdj,
});

const kubeIpvsSettings = ({ drain, forwarding, metrics }: KubeIpvsConfiguration) => ({
  drainDeadlines: { TCP: drain.deadline, UDP: drain.udpDeadline, SCTP: drain.sctpDeadline },
  perServiceMetrics: metrics.perService,
  acceptInForeignChains: forwarding.acceptInForeignChains,
});

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value))
    Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
};

/** What flags say that no field can. */
type Invocation = Pick<
  Settings,
  | 'adminSocket'
  | 'source'
  | 'once'
  | 'dryRun'
  | 'initOnly'
  | 'writeConfigTo'
  | 'master'
  | 'configFiles'
  | 'flags'
>;

const invocationOf = (
  flags: FlagValues,
  files: readonly ConfigFile[],
  environment: Environment,
): Invocation => ({
  adminSocket: adminSocketPath(flags.get('admin-socket')?.at(-1), environment),
  source: sourceOf(flags),
  once: flagIsSet(flags, 'once'),
  dryRun: flagIsSet(flags, 'dry-run'),
  initOnly: flagIsSet(flags, 'init-only'),
  writeConfigTo: flagText(flags, 'write-config-to'),
  master: flagText(flags, 'master'),
  configFiles: files.map(({ name }) => name),
  flags,
});

/** The settings that a configuration makes. */
const settingsOf = (
  known: Invocation & Pick<Settings, 'configuration' | 'kubeIpvs' | 'nodeName' | 'warnings'>,
): Settings =>
  deepFreeze({
    ...known,
    ...ipvsSettings(known.configuration),
    ...clusterSettings(known.configuration),
    ...trafficSettings(known.configuration),
    ...processSettings(known.configuration),
    ...kubeIpvsSettings(known.kubeIpvs),
    nodePortAddresses: nodePortAddressesOf(known.configuration),
  });

/** The settings with another configuration of kube-proxy; nothing else is different. */
export const withConfiguration = (settings: Settings, configuration: KubeProxyConfiguration): Settings =>
  settingsOf({ ...settings, configuration });

/** Both results; where any failed, one InputError with the problems of all. */
const bothOrAllProblems = <A, B>(first: () => A, second: () => B): readonly [A, B] => {
  const problems: string[] = [];
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof InputError) || error instanceof UsageError) throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  const [a, b] = [attempt(first), attempt(second)];
  if (a === undefined || b === undefined) throw new InputError(problems.join('\n'));
  return [a, b];
};

/**
 * Resolves flags and config files as kube-proxy does (kube-proxy-ipvs §1.3). Throws an InputError that tells every wrong
 * value with its flag or its line, and a UsageError for a flag that can't be used.
 */
export const resolveSettings = ({ flags, files, hostname, environment = {} }: SettingsInput): Settings => {
  const invocation = invocationOf(flags, files, environment);
  const documents = readDocuments(files);
  const [{ configuration, warnings }, { kubeIpvs, warnings: kubeIpvsWarnings }] = bothOrAllProblems(
    () => resolveConfiguration(flags, documents.kubeProxy),
    () => resolveKubeIpvsConfiguration(documents.kubeIpvs),
  );
  return settingsOf({
    ...invocation,
    configuration,
    kubeIpvs,
    nodeName: resolveNodeName(configuration, hostname),
    warnings: [...warnings, ...kubeIpvsWarnings, ...schedulerWarnings(configuration.ipvs.scheduler || 'rr')],
  });
};
