import { InputError } from '../base/errors.js';
import type { Cidr } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';
import type { ServiceSettings } from '../model/service-settings.js';
import type { InstanceNames } from '../model/instance-names.js';
import type { PaceSettings } from '../model/pace.js';
import type { VipBinding } from '../model/vip-binding.js';
import type { WeightBy } from '../model/weight-by.js';
import { adminSocketPath, type Environment } from './environment.js';
import {
  documentOrigin,
  readDocuments,
  readAndValidate,
  type ConfigDocument,
  type ConfigFile,
} from './configuration-file.js';
import { connectionSyncSettings, type ConnectionSyncSettings } from './kube-ipvs/connection-sync.js';
import { gateEnabled } from './feature-gates.js';
import { flagIsSet, flagText, UsageError, type FlagValues } from './parse-flags.js';
import { kernelSchedulers } from './known-values.js';
import {
  readKubeIpvsConfiguration,
  type KubeIpvsConfiguration,
} from './kube-ipvs/kube-ipvs-configuration.js';
import type { KubeProxyConfiguration } from './kube-proxy-configuration.js';
import { resolveInstance } from './resolve-instance.js';
import { paceDefaultsOf, resolveConfiguration, serviceDefaultsOf } from './resolve-configuration.js';
import { parseClusterCidrs, validateKubeIpvs } from './validate-configuration.js';

/** The source of Services, EndpointSlices and the Node. */
export type SourceSetting =
  | { readonly from: 'api' }
  | { readonly from: 'manifests' /** A file or a folder. */; readonly path: string };

/** kube-proxy's detectLocalMode with its parameter. */
export type PodDetection =
  | { readonly mode: 'ClusterCIDR' | 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly name: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string };

/** Settings of the kernel's connection tracking; 0 or false: not changed. Times are milliseconds. */
export type ConntrackSettings = Readonly<KubeProxyConfiguration['conntrack']>;

/** The resolved settings of flags and configuration files, frozen. Times are milliseconds. */
export interface Settings {
  /** metadata.name of this Node: --hostname-override, hostnameOverride or the host name; trimmed, in lower case. */
  readonly nodeName: string;
  /** Which Services this instance serves, and the names of what it makes on the node. */
  readonly names: InstanceNames;
  readonly source: SourceSetting;
  /** Program the kernel once and exit. */
  readonly once: boolean;
  /** Print the plan and change nothing. */
  readonly dryRun: boolean;
  /** Prepare the kernel and exit. */
  readonly initOnly: boolean;
  /** The path of the admin socket; '': none. */
  readonly adminSocket: string;
  /** Write the configuration to this file and exit. */
  readonly writeConfigTo: string | undefined;
  /** The scheduler of Services that name none. The kernel decides whether it exists. */
  readonly scheduler: string;
  readonly syncPeriod: number;
  /** 0: changes are programmed at once. */
  readonly minSyncPeriod: number;
  /** Virtual servers within these are never deleted. */
  readonly excludeCidrs: readonly Cidr[];
  readonly strictArp: boolean;
  /** 0: the kernel's value is not changed. */
  readonly tcpTimeout: number;
  readonly tcpFinTimeout: number;
  readonly udpTimeout: number;
  /** Networks whose local addresses serve NodePorts; []: all; 'primary': those of the Node (see node-port-networks.ts). */
  readonly nodePortAddresses: readonly Cidr[] | 'primary';
  /** The pod networks; at most one per family. */
  readonly clusterCidrs: readonly Cidr[];
  /** How traffic from pods is recognized; pod-traffic.ts creates the detectors. */
  readonly podDetection: PodDetection;
  /** Masquerade every connection to a ClusterIP. */
  readonly masqueradeAll: boolean;
  /** The bit of the packet mark that requests masquerading, 1 to 2^31. */
  readonly masqueradeMark: number;
  readonly conntrack: ConntrackSettings;
  /** Program spec.externalIPs (feature gate AllowServiceExternalIPs). */
  readonly externalIpsAllowed: boolean;
  /** How long a removed endpoint keeps its connections; 0: it is deleted at once. */
  readonly drainDeadlines: Readonly<Record<Protocol, number>>;
  /** How the weights of Services that set nothing change over time. */
  readonly pace: PaceSettings;
  /** Per-Service metrics, and the maximum of ports that have them. */
  readonly perServiceMetrics: Readonly<KubeIpvsConfiguration['metrics']['perService']>;
  /** Metrics of single endpoints, for the Services that match. */
  readonly backendMetrics: Readonly<KubeIpvsConfiguration['metrics']['backends']>;
  /** Insert an accept rule into nftables chains of other programs that drop replies from pods. */
  readonly acceptInForeignChains: boolean;
  /** The settings of Services without the annotation. */
  readonly serviceDefaults: ServiceSettings;
  /** How VIPs become local. */
  readonly vipBinding: VipBinding;
  /** Undefined: connections are not synchronized with other nodes. */
  readonly connectionSync: ConnectionSyncSettings | undefined;
  /** Settings of IPVS in the kernel; '' or null: not changed. */
  readonly kernelTuning: Readonly<KubeIpvsConfiguration['kernel']>;
  /** Where the weights of endpoints come from, of Services that choose nothing. */
  readonly weightBy: WeightBy;
  readonly kubeconfig: string | undefined;
  /** URL of the API server; overrides the kubeconfig. */
  readonly master: string | undefined;
  readonly qps: number;
  readonly burst: number;
  /** Whether to ask the API server for protobuf rather than JSON. */
  readonly protobuf: boolean;
  /** As klog's -v. */
  readonly verbosity: number;
  readonly logFormat: 'text' | 'json';
  /** The OOM score adjustment of this process, -1000 to 1000. */
  readonly oomScoreAdj: number;
  readonly configFiles: readonly string[];
  /** The flags as they were given. */
  readonly flags: FlagValues;
  /** The whole configuration, with all defaults. */
  readonly configuration: KubeProxyConfiguration;
  /** The whole KubeIpvsConfiguration, with all defaults. */
  readonly kubeIpvs: KubeIpvsConfiguration;
  /** Warnings for the log at the start. */
  readonly warnings: readonly string[];
}

export interface SettingsInput {
  readonly flags: FlagValues;
  /** The files of --config. */
  readonly files: readonly ConfigFile[];
  /** os.hostname(). */
  readonly hostname: string;
  /** process.env; empty by default. */
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
        `scheduler ${scheduler} is not a known Linux scheduler (${kernelSchedulers.join(' ')}); the kernel decides`,
      ];

const sourceOf = (flags: FlagValues): SourceSetting => {
  const source = flagText(flags, 'source') ?? 'api';
  return source === 'api' ? { from: 'api' } : { from: 'manifests', path: source };
};

const resolveNodeName = (configuration: KubeProxyConfiguration, hostname: string): string => {
  const name = (configuration.hostnameOverride || hostname).trim().toLowerCase();
  if (name === '')
    throw new InputError(
      'this machine has no host name; set the name of its Node with --hostname-override=NAME',
    );
  return name;
};

const schedulerOf = ({ configuration, kubeIpvs }: Pick<Settings, 'configuration' | 'kubeIpvs'>): string =>
  kubeIpvs.services.scheduler || configuration.ipvs.scheduler || 'rr';

const ipvsSettings = ({ ipvs }: KubeProxyConfiguration) => ({
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

const prefersProtobuf = ({
  acceptContentTypes,
  contentType,
}: KubeProxyConfiguration['clientConnection']): boolean =>
  (acceptContentTypes || contentType).includes('application/vnd.kubernetes.protobuf');

const clusterSettings = ({ clientConnection, clusterCIDR, featureGates }: KubeProxyConfiguration) => ({
  clusterCidrs: parseClusterCidrs(clusterCIDR) ?? [],
  externalIpsAllowed: gateEnabled(featureGates, 'AllowServiceExternalIPs'),
  kubeconfig: clientConnection.kubeconfig || undefined,
  qps: clientConnection.qps,
  burst: clientConnection.burst,
  protobuf: prefersProtobuf(clientConnection),
});

const processSettings = ({ logging, oomScoreAdj }: KubeProxyConfiguration) => ({
  verbosity: logging.verbosity,
  logFormat: logging.format === 'json' ? ('json' as const) : ('text' as const),
  oomScoreAdj,
});

const kubeIpvsSettings = (configuration: KubeIpvsConfiguration) => {
  const { drain, forwarding, metrics, vips, weights } = configuration;
  return {
    drainDeadlines: { TCP: drain.deadline, UDP: drain.udpDeadline, SCTP: drain.sctpDeadline },
    serviceDefaults: serviceDefaultsOf(configuration),
    pace: paceDefaultsOf(configuration),
    perServiceMetrics: metrics.perService,
    backendMetrics: metrics.backends,
    acceptInForeignChains: forwarding.acceptInForeignChains,
    vipBinding: vips.binding,
    weightBy: weights.by,
    connectionSync: connectionSyncSettings(configuration),
    kernelTuning: configuration.kernel,
  };
};

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value))
    Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
};

/** The settings that only flags have, and those that flags and the environment share with files. */
type Invocation = Pick<
  Settings,
  | 'names'
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
  { flags, files, environment = {} }: SettingsInput,
  names: InstanceNames,
): Invocation => ({
  names,
  adminSocket: adminSocketPath(flags.get('admin-socket')?.at(-1), environment, names),
  source: sourceOf(flags),
  once: flagIsSet(flags, 'once'),
  dryRun: flagIsSet(flags, 'dry-run'),
  initOnly: flagIsSet(flags, 'init-only'),
  writeConfigTo: flagText(flags, 'write-config-to'),
  master: flagText(flags, 'master'),
  configFiles: files.map(({ name }) => name),
  flags,
});

/** The settings of a configuration. */
const settingsOf = (
  known: Invocation & Pick<Settings, 'configuration' | 'kubeIpvs' | 'nodeName' | 'warnings'>,
): Settings =>
  deepFreeze({
    ...known,
    scheduler: schedulerOf(known),
    ...ipvsSettings(known.configuration),
    ...clusterSettings(known.configuration),
    ...trafficSettings(known.configuration),
    ...processSettings(known.configuration),
    ...kubeIpvsSettings(known.kubeIpvs),
    nodePortAddresses: nodePortAddressesOf(known.configuration),
  });

/** The same settings with another KubeProxyConfiguration. */
export const withConfiguration = (settings: Settings, configuration: KubeProxyConfiguration): Settings =>
  settingsOf({ ...settings, configuration });

/** Returns both results, or throws one InputError with the problems of both. */
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
 * Resolves flags and configuration files as kube-proxy does (kube-proxy-ipvs §1.3). Throws an InputError that names every
 * invalid value by its flag or line, and a UsageError for an invalid flag.
 */
export const resolveSettings = (input: SettingsInput): Settings => {
  const { flags, files, hostname, environment = {} } = input;
  const documents = readDocuments(files);
  const [{ configuration, warnings }, { kubeIpvs, warnings: kubeIpvsWarnings }] = bothOrAllProblems(
    () => resolveConfiguration(flags, documents.kubeProxy),
    () => resolveKubeIpvsConfiguration(documents.kubeIpvs),
  );
  const names = resolveInstance(
    flagText(flags, 'service-proxy-name'),
    kubeIpvs.serviceProxyName,
    environment,
  );
  return settingsOf({
    ...invocationOf(input, names),
    configuration,
    kubeIpvs: { ...kubeIpvs, serviceProxyName: names.serviceProxyName },
    nodeName: resolveNodeName(configuration, hostname),
    warnings: [
      ...warnings,
      ...kubeIpvsWarnings,
      ...schedulerWarnings(schedulerOf({ configuration, kubeIpvs })),
    ],
  });
};
