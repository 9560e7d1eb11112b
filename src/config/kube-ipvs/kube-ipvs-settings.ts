import { isLoopback, parseIp } from '../../base/ip.js';
import type { Protocol } from '../../base/protocol.js';
import type { InClusterEndpoints } from '../../model/settings/in-cluster-endpoints.js';
import type { PaceSettings } from '../../model/pace.js';
import type { ServiceSettings } from '../../model/settings/service-settings.js';
import type { VipBinding } from '../../model/settings/vip-binding.js';
import type { WeightBy } from '../../model/settings/weight-by.js';
import { paceDefaultsOf, serviceDefaultsOf } from '../resolve-configuration.js';
import type { KubeIpvsConfiguration } from '../schema/kube-ipvs-configuration.js';
import type { KubeProxyConfiguration } from '../schema/kube-proxy-configuration.js';
import { connectionSyncSettings, type ConnectionSyncSettings } from './connection-sync.js';

/** The settings of a KubeIpvsConfiguration that take effect as they are. Times are milliseconds. */
export interface KubeIpvsSettings {
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
  /** Which endpoints serve requests from the cluster with externalTrafficPolicy Local. */
  readonly inClusterEndpoints: InClusterEndpoints;
  /** Whether a node port has one virtual server for all addresses of the node. */
  readonly nodePortSharing: boolean;
  /** Serve the page at metricsBindAddress. */
  readonly pageEnabled: boolean;
}

const isPageEnabled = (
  { page: { enabled } }: KubeIpvsConfiguration,
  { metricsBindAddress }: KubeProxyConfiguration,
): boolean => {
  if (enabled !== 'loopback') return enabled;
  const host = parseIp(metricsBindAddress.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'));
  return host !== undefined && isLoopback(host);
};

export const kubeIpvsSettings = (
  kubeIpvs: KubeIpvsConfiguration,
  configuration: KubeProxyConfiguration,
): KubeIpvsSettings => {
  const { drain, externalTrafficPolicyLocal, forwarding, metrics, nodePorts, vips, weights } = kubeIpvs;
  return {
    drainDeadlines: { TCP: drain.deadline, UDP: drain.udpDeadline, SCTP: drain.sctpDeadline },
    serviceDefaults: serviceDefaultsOf(kubeIpvs),
    pace: paceDefaultsOf(kubeIpvs),
    perServiceMetrics: metrics.perService,
    backendMetrics: metrics.backends,
    acceptInForeignChains: forwarding.acceptInForeignChains,
    vipBinding: vips.binding,
    weightBy: weights.by,
    inClusterEndpoints: externalTrafficPolicyLocal.inClusterEndpoints,
    nodePortSharing: nodePorts.sharing,
    connectionSync: connectionSyncSettings(kubeIpvs),
    kernelTuning: kubeIpvs.kernel,
    pageEnabled: isPageEnabled(kubeIpvs, configuration),
  };
};
