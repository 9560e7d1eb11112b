import type { MetricDefinition } from './metric-definition.js';
import { componentMetrics, kubeProxyMetrics } from './kube-proxy-metrics.js';
import { backendMetrics, trafficMetrics } from './traffic-metrics.js';

/** Changes to the kernel, and what is in it. */
export const workMetrics = {
  operations: {
    name: 'kube_ipvs_operations_total',
    type: 'counter',
    labels: ['operation', 'outcome'],
    help: 'Operations on the kernel by outcome: applied, failed, or unknown if the kernel did not answer.',
  },
  operationFailures: {
    name: 'kube_ipvs_operation_failures_total',
    type: 'counter',
    labels: ['operation', 'errno'],
    help: 'Operations that the kernel refused, by error number.',
  },
  refused: {
    name: 'kube_ipvs_refused_objects',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers, addresses and packet-rule elements that the kernel currently refuses.',
  },
  givenUp: {
    name: 'kube_ipvs_given_up_objects',
    type: 'gauge',
    labels: ['object'],
    help: 'Refused objects (virtual-server, address, packet-rule) that are retried only at the next resync or when they change.',
  },
  resyncs: {
    name: 'kube_ipvs_resyncs_total',
    type: 'counter',
    labels: ['source'],
    help: 'Resyncs by how they read the IPVS table: file (/proc/net/ip_vs) or netlink.',
  },
  drift: {
    name: 'kube_ipvs_drift_repaired_total',
    type: 'counter',
    labels: ['object', 'drift'],
    help: 'Changes by other programs that kube-ipvs repaired in the kernel: object missing, extra or different (differs).',
  },
  draining: {
    name: 'kube_ipvs_draining_real_servers',
    type: 'gauge',
    labels: ['protocol'],
    help: 'Real servers that are draining.',
  },
  oldestDrain: {
    name: 'kube_ipvs_oldest_drain_seconds',
    type: 'gauge',
    labels: [],
    help: 'Age of the oldest drain; 0 if no real server is draining.',
  },
  lingering: {
    name: 'kube_ipvs_lingering_virtual_servers',
    type: 'gauge',
    labels: ['protocol'],
    help: 'Orphaned virtual servers: no Service defines them any more, and they are kept until their connections end.',
  },
  drainsStarted: {
    name: 'kube_ipvs_drains_started_total',
    type: 'counter',
    labels: ['protocol'],
    help: 'Drains of real servers that started.',
  },
  drainsEnded: {
    name: 'kube_ipvs_drains_ended_total',
    type: 'counter',
    labels: ['protocol', 'reason'],
    help: 'Drains that ended, by reason: idle (no connections left), deadline, dead (the real server does not answer), node-gone, withdrawn (the real server is in use again, or its virtual server was deleted).',
  },
  drainDuration: {
    name: 'kube_ipvs_drain_duration_seconds',
    type: 'histogram',
    labels: ['protocol', 'reason'],
    help: 'How long drains took, by reason of their end: see kube_ipvs_drains_ended_total.',
    buckets: [1, 3, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600],
  },
  climbing: {
    name: 'kube_ipvs_climbing_real_servers',
    type: 'gauge',
    labels: [],
    help: 'New real servers whose weight climbs to the full one (slow start).',
  },
  quarantined: {
    name: 'kube_ipvs_quarantined_real_servers',
    type: 'gauge',
    labels: [],
    help: 'Real servers that get no new connections for a while because they did not answer.',
  },
  quarantines: {
    name: 'kube_ipvs_quarantines_total',
    type: 'counter',
    labels: [],
    help: 'Quarantines that started.',
  },
  nodeQuestions: {
    name: 'kube_ipvs_node_questions_total',
    type: 'counter',
    labels: ['answer'],
    help: 'Queries to the API server whether the node of a removed endpoint still exists, by answer: there, gone or failed.',
  },
  staleFlowFailures: {
    name: 'kube_ipvs_stale_flow_failures_total',
    type: 'counter',
    labels: [],
    help: 'Failed attempts to find or delete stale conntrack flows; they are retried.',
  },
  services: {
    name: 'kube_ipvs_services',
    type: 'gauge',
    labels: [],
    help: 'Services that this node serves.',
  },
  serviceProblems: {
    name: 'kube_ipvs_service_problems',
    type: 'gauge',
    labels: [],
    help: 'Reasons why parts of Services are not served as requested, such as a wrong annotation or a conflict about an address; the Events of the Services name them.',
  },
  virtualServers: {
    name: 'kube_ipvs_virtual_servers',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers of kube-ipvs in the kernel.',
  },
  realServers: {
    name: 'kube_ipvs_real_servers',
    type: 'gauge',
    labels: [],
    help: 'Real servers of kube-ipvs in the kernel.',
  },
  addresses: {
    name: 'kube_ipvs_addresses',
    type: 'gauge',
    labels: [],
    help: 'VIPs that are bound, as addresses of the dummy interface or as local routes.',
  },
  packetRuleElements: {
    name: 'kube_ipvs_packet_rule_elements',
    type: 'gauge',
    labels: [],
    help: 'Elements in the sets of the packet rules of kube-ipvs.',
  },
  foreignVirtualServers: {
    name: 'kube_ipvs_foreign_virtual_servers',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers that other programs created; kube-ipvs leaves them alone.',
  },
  contestedVirtualServers: {
    name: 'kube_ipvs_contested_virtual_servers',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers that a Service needs but another program created: kube-ipvs leaves them alone, and they do not serve the Service.',
  },
  syncDaemonRunning: {
    name: 'kube_ipvs_connection_sync_running',
    type: 'gauge',
    labels: ['role'],
    help: 'Whether the daemon of the kernel that synchronizes connections runs as configured (1) or not (0), by role: master (sends) or backup (receives). Absent without connectionSync.',
  },
  syncDaemonFailures: {
    name: 'kube_ipvs_connection_sync_failures_total',
    type: 'counter',
    labels: [],
    help: 'Failed attempts to start a daemon that synchronizes connections, for example because its interface is missing; they are retried.',
  },
  blockingFilters: {
    name: 'kube_ipvs_forwarding_blocked_by_others',
    type: 'gauge',
    labels: [],
    help: 'Chains of other programs that drop the replies of pods; the log names them.',
  },
  toldEvents: {
    name: 'kube_ipvs_api_events_total',
    type: 'counter',
    labels: ['outcome'],
    help: 'Kubernetes Events about Services and the Node, by outcome: sent, failed (the API server rejected it) or dropped (the queue was full or the daemon stopped).',
  },
  scrapeFailures: {
    name: 'kube_ipvs_scrape_failures_total',
    type: 'counter',
    labels: [],
    help: 'Scrapes that lack some metrics because a read failed.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

const resource = ['resource'] as const;

/** The source of objects. */
export const sourceMetrics = {
  following: {
    name: 'kube_ipvs_watch_following',
    type: 'gauge',
    labels: resource,
    help: 'Whether the daemon is receiving changes of this resource from the API server (1) or not (0).',
  },
  lists: {
    name: 'kube_ipvs_watch_lists_total',
    type: 'counter',
    labels: resource,
    help: 'Lists that the daemon started.',
  },
  watches: {
    name: 'kube_ipvs_watch_streams_total',
    type: 'counter',
    labels: resource,
    help: 'Watches that the daemon started.',
  },
  events: {
    name: 'kube_ipvs_watch_events_total',
    type: 'counter',
    labels: resource,
    help: 'Watch events received, bookmarks included.',
  },
  lastEvent: {
    name: 'kube_ipvs_watch_last_event_timestamp_seconds',
    type: 'gauge',
    labels: resource,
    help: 'Time of the last watch event.',
  },
  watchFailures: {
    name: 'kube_ipvs_watch_failures_total',
    type: 'counter',
    labels: ['resource', 'cause'],
    help: 'Lists and watches that failed, by cause.',
  },
  malformed: {
    name: 'kube_ipvs_watch_malformed_objects_total',
    type: 'counter',
    labels: resource,
    help: 'Objects that could not be parsed; the daemon keeps the last valid version.',
  },
  manifestFailures: {
    name: 'kube_ipvs_manifest_failures_total',
    type: 'counter',
    labels: [],
    help: 'Failed attempts to read or parse a manifest.',
  },
  brokenManifests: {
    name: 'kube_ipvs_broken_manifests',
    type: 'gauge',
    labels: [],
    help: 'Manifests that currently cannot be read or parsed; the daemon keeps their last valid content.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** Every metric of kube-ipvs. prom-client adds process_* and nodejs_*. */
export const catalogue = {
  ...kubeProxyMetrics,
  ...componentMetrics,
  ...trafficMetrics,
  ...backendMetrics,
  ...workMetrics,
  ...sourceMetrics,
};

export type MetricKey = keyof typeof catalogue;

/** One value of a metric; that of a counter is its total. */
export interface Sample {
  readonly metric: MetricKey;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}
