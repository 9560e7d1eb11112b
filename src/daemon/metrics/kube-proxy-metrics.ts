import type { MetricDefinition } from './metric-definition.js';

const range = (first: number, last: number, step: number): readonly number[] =>
  Array.from({ length: (last - first) / step + 1 }, (_, index) => first + index * step);

/** 0.001 … 16.384 seconds. */
const durations = range(0, 14, 1).map((exponent) => 0.001 * 2 ** exponent);
const programmingDurations = [0.25, 0.5, ...range(1, 59, 1), ...range(60, 115, 5), ...range(120, 300, 30)];

/**
 * The metrics of kube-proxy in IPVS mode, with its names, labels and buckets (kube-proxy-ipvs §7.3); one sync programs both
 * families.
 */
export const kubeProxyMetrics = {
  syncDuration: {
    name: 'kubeproxy_sync_proxy_rules_duration_seconds',
    type: 'histogram',
    labels: ['ip_family'],
    help: 'Duration of each sync, those that broke included; one sync serves both families.',
    buckets: durations,
  },
  syncLast: {
    name: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    type: 'gauge',
    labels: ['ip_family'],
    help: 'When the last sync was completed.',
  },
  syncQueued: {
    name: 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
    type: 'gauge',
    labels: ['ip_family'],
    help: 'When a sync was asked for the last time.',
  },
  networkProgramming: {
    name: 'kubeproxy_network_programming_duration_seconds',
    type: 'histogram',
    labels: ['ip_family'],
    help: 'Time from the change of a pod or Service to the sync that programmed it, for each changed EndpointSlice that tells it.',
    buckets: programmingDurations,
  },
  endpointChangesPending: {
    name: 'kubeproxy_sync_proxy_rules_endpoint_changes_pending',
    type: 'gauge',
    labels: [],
    help: 'Changes of EndpointSlices since the last sync began.',
  },
  endpointChanges: {
    name: 'kubeproxy_sync_proxy_rules_endpoint_changes_total',
    type: 'counter',
    labels: [],
    help: 'EndpointSlices that came or went, changed or not.',
  },
  serviceChangesPending: {
    name: 'kubeproxy_sync_proxy_rules_service_changes_pending',
    type: 'gauge',
    labels: [],
    help: 'Services that changed since the last sync began.',
  },
  serviceChanges: {
    name: 'kubeproxy_sync_proxy_rules_service_changes_total',
    type: 'counter',
    labels: [],
    help: 'Services that came or went, changed or not; each counts once, not once a family.',
  },
  restoreFailures: {
    name: 'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
    type: 'counter',
    labels: ['ip_family'],
    help: 'Transactions of packet rules that the kernel refused. They are nftables here.',
  },
  noLocalEndpoints: {
    name: 'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
    type: 'gauge',
    labels: ['traffic_policy', 'ip_family'],
    help: 'Services with this traffic policy Local that have endpoints, but none on this node.',
  },
  conntrackDuration: {
    name: 'kubeproxy_conntrack_reconciler_sync_duration_seconds',
    type: 'histogram',
    labels: ['ip_family'],
    help: 'Duration of looking for stale flows and deleting them.',
    buckets: durations,
  },
  conntrackDeleted: {
    name: 'kubeproxy_conntrack_reconciler_deleted_entries_total',
    type: 'counter',
    labels: ['ip_family'],
    help: 'Flows that were deleted because their real server does not serve them any more.',
  },
  healthz: {
    name: 'kubeproxy_proxy_healthz_total',
    type: 'counter',
    labels: ['code'],
    help: 'Answers of /healthz by HTTP status.',
  },
  livez: {
    name: 'kubeproxy_proxy_livez_total',
    type: 'counter',
    labels: ['code'],
    help: 'Answers of /livez by HTTP status.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** The metrics of every Kubernetes component. */
export const componentMetrics = {
  restRequests: {
    name: 'rest_client_requests_total',
    type: 'counter',
    labels: ['code', 'host', 'method'],
    help: 'Requests to the API server by status (<error> without one), method and host.',
  },
  buildInfo: {
    name: 'kubernetes_build_info',
    type: 'gauge',
    labels: [
      'major',
      'minor',
      'git_version',
      'git_commit',
      'git_tree_state',
      'build_date',
      'go_version',
      'compiler',
      'platform',
    ],
    help: 'Always 1; git_version is the version of kube-ipvs, compiler the runtime.',
  },
  featureEnabled: {
    name: 'kubernetes_feature_enabled',
    type: 'gauge',
    labels: ['name', 'stage'],
    help: 'Whether a feature gate is on.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
