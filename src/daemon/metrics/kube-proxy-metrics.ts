import type { MetricDefinition } from './metric-definition.js';

const range = (first: number, last: number, step: number): readonly number[] =>
  Array.from({ length: (last - first) / step + 1 }, (_, index) => first + index * step);

/** 0.001 … 16.384 seconds. */
const durations = range(0, 14, 1).map((exponent) => 0.001 * 2 ** exponent);
/** The buckets of client-go. */
const requestDurations = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
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
    help: 'Duration of each sync, failed ones included. One sync covers both IP families.',
    buckets: durations,
  },
  syncLast: {
    name: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    type: 'gauge',
    labels: ['ip_family'],
    help: 'Time when the last sync completed.',
  },
  syncQueued: {
    name: 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
    type: 'gauge',
    labels: ['ip_family'],
    help: 'Time when a sync was last requested.',
  },
  networkProgramming: {
    name: 'kubeproxy_network_programming_duration_seconds',
    type: 'histogram',
    labels: ['ip_family'],
    help: 'Time from the change of a pod or Service to the sync that programmed it, for each changed EndpointSlice that carries this time.',
    buckets: programmingDurations,
  },
  endpointChangesPending: {
    name: 'kubeproxy_sync_proxy_rules_endpoint_changes_pending',
    type: 'gauge',
    labels: [],
    help: 'EndpointSlice changes since the last sync started.',
  },
  endpointChanges: {
    name: 'kubeproxy_sync_proxy_rules_endpoint_changes_total',
    type: 'counter',
    labels: [],
    help: 'EndpointSlices that were added, updated or deleted, with or without an effect.',
  },
  serviceChangesPending: {
    name: 'kubeproxy_sync_proxy_rules_service_changes_pending',
    type: 'gauge',
    labels: [],
    help: 'Service changes since the last sync started.',
  },
  serviceChanges: {
    name: 'kubeproxy_sync_proxy_rules_service_changes_total',
    type: 'counter',
    labels: [],
    help: 'Services that were added, updated or deleted, with or without an effect; each counts once, not once per IP family.',
  },
  restoreFailures: {
    name: 'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
    type: 'counter',
    labels: ['ip_family'],
    help: 'Packet-rule transactions that the kernel refused. kube-ipvs uses nftables, not iptables-restore.',
  },
  noLocalEndpoints: {
    name: 'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
    type: 'gauge',
    labels: ['traffic_policy', 'ip_family'],
    help: 'Services with this traffic policy set to Local that have endpoints, but none on this node.',
  },
  conntrackDuration: {
    name: 'kubeproxy_conntrack_reconciler_sync_duration_seconds',
    type: 'histogram',
    labels: ['ip_family'],
    help: 'Duration of finding and deleting stale conntrack flows.',
    buckets: durations,
  },
  conntrackDeleted: {
    name: 'kubeproxy_conntrack_reconciler_deleted_entries_total',
    type: 'counter',
    labels: ['ip_family'],
    help: 'Conntrack flows that were deleted because their real server was removed.',
  },
  healthz: {
    name: 'kubeproxy_proxy_healthz_total',
    type: 'counter',
    labels: ['code'],
    help: 'Responses of /healthz by HTTP status.',
  },
  livez: {
    name: 'kubeproxy_proxy_livez_total',
    type: 'counter',
    labels: ['code'],
    help: 'Responses of /livez by HTTP status.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** The metrics of every Kubernetes component. */
export const componentMetrics = {
  restRequests: {
    name: 'rest_client_requests_total',
    type: 'counter',
    labels: ['code', 'host', 'method'],
    help: 'Requests to the API server by HTTP status (<error> if there was no response), method and host.',
  },
  restDuration: {
    name: 'rest_client_request_duration_seconds',
    type: 'histogram',
    labels: ['verb', 'host'],
    help: 'Time until the response to a request to the API server began, or the request failed.',
    buckets: requestDurations,
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
    help: 'Always 1. git_version is the version of kube-ipvs, compiler is the JavaScript runtime.',
  },
  featureEnabled: {
    name: 'kubernetes_feature_enabled',
    type: 'gauge',
    labels: ['name', 'stage'],
    help: 'Whether a feature gate is enabled.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
