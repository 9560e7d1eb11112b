import type { MetricDefinition } from './metric-definition.js';

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
    help: 'Connections per second to a port of a Service, as the kernel estimates them.',
  },
  servicePacketRate: {
    name: 'kube_ipvs_service_packets_per_second',
    type: 'gauge',
    labels: [...servicePort, 'direction'],
    help: 'Packets per second to (in) and from (out) a port of a Service, as the kernel estimates them.',
  },
  serviceByteRate: {
    name: 'kube_ipvs_service_bytes_per_second',
    type: 'gauge',
    labels: [...servicePort, 'direction'],
    help: 'Bytes per second to (in) and from (out) a port of a Service, as the kernel estimates them.',
  },
  servicePortsLeftOut: {
    name: 'kube_ipvs_service_ports_left_out',
    type: 'gauge',
    labels: [],
    help: 'Service ports without traffic series because there are more ports than metrics.perService.maximum.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

const backend = [...servicePort, 'endpoint_address', 'endpoint_pod', 'endpoint_node'] as const;

/** The kernel's statistics by endpoint of a Service port, summed over the addresses of the port. */
export const backendMetrics = {
  backendConnections: {
    name: 'kube_ipvs_backend_connections_total',
    type: 'counter',
    labels: backend,
    help: 'Connections to an endpoint of a Service port.',
  },
  backendPackets: {
    name: 'kube_ipvs_backend_packets_total',
    type: 'counter',
    labels: [...backend, 'direction'],
    help: 'Packets to (in) and from (out) an endpoint of a Service port.',
  },
  backendBytes: {
    name: 'kube_ipvs_backend_bytes_total',
    type: 'counter',
    labels: [...backend, 'direction'],
    help: 'Bytes to (in) and from (out) an endpoint of a Service port.',
  },
  backendActive: {
    name: 'kube_ipvs_backend_active_connections',
    type: 'gauge',
    labels: backend,
    help: 'Active connections of an endpoint: established ones, as the kernel counts them.',
  },
  backendInactive: {
    name: 'kube_ipvs_backend_inactive_connections',
    type: 'gauge',
    labels: backend,
    help: 'Inactive connections of an endpoint: those that are opening or closing, and idle UDP.',
  },
  backendWeight: {
    name: 'kube_ipvs_backend_weight',
    type: 'gauge',
    labels: backend,
    help: 'The weight of an endpoint; 0: it gets no new connections.',
  },
  backendDraining: {
    name: 'kube_ipvs_backend_draining',
    type: 'gauge',
    labels: backend,
    help: 'Whether an endpoint drains (1) or not (0).',
  },
  backendsLeftOut: {
    name: 'kube_ipvs_backends_left_out',
    type: 'gauge',
    labels: [],
    help: 'Endpoints of the Services in metrics.backends.services without series because of metrics.backends.maximumSeries.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
