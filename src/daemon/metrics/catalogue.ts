import type { MetricDefinition } from './metric-definition.js';
import { componentMetrics, kubeProxyMetrics } from './kube-proxy-metrics.js';

const servicePort = ['service_namespace', 'service_name', 'service_port', 'protocol'] as const;

/** The kernel's statistics by Service, summed over the addresses of a port. */
export const trafficMetrics = {
  serviceConnections: {
    name: 'kube_ipvs_service_connections_total',
    type: 'counter',
    labels: servicePort,
    help: 'Connections to a port of a Service.',
  },
  servicePackets: {
    name: 'kube_ipvs_service_packets_total',
    type: 'counter',
    labels: [...servicePort, 'direction'],
    help: 'Packets to (in) and from (out) a port of a Service.',
  },
  serviceBytes: {
    name: 'kube_ipvs_service_bytes_total',
    type: 'counter',
    labels: [...servicePort, 'direction'],
    help: 'Bytes to (in) and from (out) a port of a Service.',
  },
  serviceConnectionRate: {
    name: 'kube_ipvs_service_connections_per_second',
    type: 'gauge',
    labels: servicePort,
    help: 'Connections a second to a port of a Service, as the kernel estimates them.',
  },
  servicePacketRate: {
    name: 'kube_ipvs_service_packets_per_second',
    type: 'gauge',
    labels: [...servicePort, 'direction'],
    help: 'Packets a second to and from a port of a Service, as the kernel estimates them.',
  },
  serviceByteRate: {
    name: 'kube_ipvs_service_bytes_per_second',
    type: 'gauge',
    labels: [...servicePort, 'direction'],
    help: 'Bytes a second to and from a port of a Service, as the kernel estimates them.',
  },
  servicePortsLeftOut: {
    name: 'kube_ipvs_service_ports_left_out',
    type: 'gauge',
    labels: [],
    help: 'Ports of Services without series of their own, as there are more than metrics.perService.maximum.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** Changes to the kernel, and what is in it. */
export const workMetrics = {
  operations: {
    name: 'kube_ipvs_operations_total',
    type: 'counter',
    labels: ['operation', 'outcome'],
    help: 'Operations on the kernel by outcome: applied, failed, or unknown where no answer came.',
  },
  operationFailures: {
    name: 'kube_ipvs_operation_failures_total',
    type: 'counter',
    labels: ['operation', 'errno'],
    help: 'Operations that the kernel refused, by its reason.',
  },
  refused: {
    name: 'kube_ipvs_refused_objects',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers, addresses and packet-rule elements that the kernel refuses now; they are tried again.',
  },
  givenUp: {
    name: 'kube_ipvs_given_up_objects',
    type: 'gauge',
    labels: ['object'],
    help: 'Those of them that waiting does not mend (virtual-server, address, packet-rule): they are tried again only when they change and with each resync.',
  },
  drift: {
    name: 'kube_ipvs_drift_repaired_total',
    type: 'counter',
    labels: ['object', 'drift'],
    help: 'What somebody else had changed in the kernel and was put right: missing, extra, or there but otherwise (differs).',
  },
  draining: {
    name: 'kube_ipvs_draining_real_servers',
    type: 'gauge',
    labels: ['protocol'],
    help: 'Real servers that drain now.',
  },
  oldestDrain: {
    name: 'kube_ipvs_oldest_drain_seconds',
    type: 'gauge',
    labels: [],
    help: 'For how long the real server drains that does so longest; 0 where none does.',
  },
  lingering: {
    name: 'kube_ipvs_lingering_virtual_servers',
    type: 'gauge',
    labels: ['protocol'],
    help: 'Virtual servers that no Service asks for any more and that stay for their open connections.',
  },
  drainsStarted: {
    name: 'kube_ipvs_drains_started_total',
    type: 'counter',
    labels: ['protocol'],
    help: 'Real servers that began to drain.',
  },
  drainsEnded: {
    name: 'kube_ipvs_drains_ended_total',
    type: 'counter',
    labels: ['protocol', 'reason'],
    help: 'Drains that ended: idle (no connections), deadline, dead (does not answer), node-gone, withdrawn (wanted again, or all of it went).',
  },
  nodeQuestions: {
    name: 'kube_ipvs_node_questions_total',
    type: 'counter',
    labels: ['answer'],
    help: 'Questions whether a node is gone that endpoints left without a word: there, gone, failed.',
  },
  staleFlowFailures: {
    name: 'kube_ipvs_stale_flow_failures_total',
    type: 'counter',
    labels: [],
    help: 'Stale flows that could not be deleted or looked for; they are tried again.',
  },
  services: {
    name: 'kube_ipvs_services',
    type: 'gauge',
    labels: [],
    help: 'Services that are served.',
  },
  virtualServers: {
    name: 'kube_ipvs_virtual_servers',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers of ours in the kernel.',
  },
  realServers: {
    name: 'kube_ipvs_real_servers',
    type: 'gauge',
    labels: [],
    help: 'Real servers of ours in the kernel.',
  },
  addresses: {
    name: 'kube_ipvs_addresses',
    type: 'gauge',
    labels: [],
    help: 'Addresses on kube-ipvs0.',
  },
  packetRuleElements: {
    name: 'kube_ipvs_packet_rule_elements',
    type: 'gauge',
    labels: [],
    help: 'Elements in the sets of our packet rules.',
  },
  foreignVirtualServers: {
    name: 'kube_ipvs_foreign_virtual_servers',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers of others, which are left alone.',
  },
  contestedVirtualServers: {
    name: 'kube_ipvs_contested_virtual_servers',
    type: 'gauge',
    labels: [],
    help: 'Virtual servers that Services ask for and that others have made: they are left alone, and those Services are not served there.',
  },
  blockingFilters: {
    name: 'kube_ipvs_forwarding_blocked_by_others',
    type: 'gauge',
    labels: [],
    help: 'Chains of others whose policy drops the answers of pods; the log names them.',
  },
  toldEvents: {
    name: 'kube_ipvs_api_events_total',
    type: 'counter',
    labels: ['outcome'],
    help: 'Events about Services and the Node: sent to the API server, failed (refused), or dropped for want of room or time.',
  },
  scrapeFailures: {
    name: 'kube_ipvs_scrape_failures_total',
    type: 'counter',
    labels: [],
    help: 'Pages of metrics on which something is missing because it could not be read.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

const resource = ['resource'] as const;

/** The source of objects. */
export const sourceMetrics = {
  following: {
    name: 'kube_ipvs_watch_following',
    type: 'gauge',
    labels: resource,
    help: 'Whether the objects of the API server are being followed.',
  },
  lists: {
    name: 'kube_ipvs_watch_lists_total',
    type: 'counter',
    labels: resource,
    help: 'Complete lists that were begun.',
  },
  watches: {
    name: 'kube_ipvs_watch_streams_total',
    type: 'counter',
    labels: resource,
    help: 'Watches that were begun.',
  },
  events: {
    name: 'kube_ipvs_watch_events_total',
    type: 'counter',
    labels: resource,
    help: 'Events of watches, bookmarks included.',
  },
  lastEvent: {
    name: 'kube_ipvs_watch_last_event_timestamp_seconds',
    type: 'gauge',
    labels: resource,
    help: 'When the last event of a watch came: time() less this is its silence.',
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
    help: 'Objects that made no sense and were left as they were known before.',
  },
  manifestFailures: {
    name: 'kube_ipvs_manifest_failures_total',
    type: 'counter',
    labels: [],
    help: 'Manifests that could not be read or understood.',
  },
  brokenManifests: {
    name: 'kube_ipvs_broken_manifests',
    type: 'gauge',
    labels: [],
    help: 'Manifests that cannot be read or understood now; what they said before stays.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** Every metric of kube-ipvs. prom-client adds process_* and nodejs_*. */
export const catalogue = {
  ...kubeProxyMetrics,
  ...componentMetrics,
  ...trafficMetrics,
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
