import type { VirtualServerJson } from '../plan/output/ipvs-table-formats.js';
import type { UnusedReason, UsedReason } from '../plan/endpoints/endpoint-selection.js';

// The responses of the admin API. docs/admin-api.md is generated from this file, so its readers see these comments. Within a
// version, fields may be added; none is removed or changes its meaning.

/** The value of `version` in all responses. */
export const adminVersion = 1;

/** The kind of address by which a Service is reached, as the Kubernetes API names it. */
export type FrontendKind = 'ClusterIP' | 'NodePort' | 'ExternalIP' | 'LoadBalancer';

/** The drain of a real server: it gets no new connections. */
export interface DrainResponse {
  /** Seconds since the drain started. */
  readonly seconds: number;
  /** Seconds until its remaining connections are cut. */
  readonly secondsLeft: number;
  /** Why the real server is not used: it is no longer an endpoint (`gone`), or the reason in `endpoints`. */
  readonly reason: UnusedReason | 'gone';
}

/** A real server and the endpoint behind it; fields that the EndpointSlice does not set are absent. */
export interface RealServerDescription {
  /** The pod, as `namespace/name`. */
  readonly pod?: string;
  readonly node?: string;
  readonly zone?: string;
  /** `ready`: in use; `last-resort`: terminating, but in use because none is ready; `draining`: no new connections. */
  readonly state: 'ready' | 'last-resort' | 'draining';
  /** Present if the state is `draining` and the daemon has read its connections. */
  readonly drain?: DrainResponse;
}

/** An orphaned virtual server: no Service defines it any more, and it is kept until its connections end. */
export interface OrphanedResponse {
  /** Seconds since its first real server started to drain. */
  readonly seconds: number;
  /** Seconds until its remaining connections are cut. */
  readonly secondsLeft: number;
}

/** The Service and the endpoints behind a virtual server. */
export interface VirtualServerDescription {
  /** As `namespace/name`. Absent if the virtual server was orphaned before the daemon started. */
  readonly service?: string;
  /** The port of the Service; `name` is '' if it has none. Absent if the virtual server is orphaned. */
  readonly port?: { readonly name: string; readonly port: number };
  /** Absent if the virtual server is orphaned. */
  readonly frontend?: FrontendKind;
  /** Present if the virtual server is orphaned. */
  readonly lingering?: OrphanedResponse;
  /** Present if another program created the virtual server; kube-ipvs leaves it alone. */
  readonly contested?: true;
  /** By address and port, such as `10.244.1.5:8080` or `[fd00::5]:8080`. */
  readonly realServers: Readonly<Record<string, RealServerDescription>>;
}

/** `GET /v1/virtual-servers`: what is behind each virtual server. Filters: `?service=NAMESPACE/NAME`, `?address=IP`. */
export interface VirtualServersResponse {
  readonly version: 1;
  /** By key, such as `TCP 10.96.0.1:443`, as in `dump -o json`. Foreign virtual servers are absent. */
  readonly virtualServers: Readonly<Record<string, VirtualServerDescription>>;
}

/** The last sync that ended. */
export interface SyncResponse {
  /** A time, such as `2026-11-23T10:00:00.000Z`. */
  readonly at: string;
  readonly secondsAgo: number;
  readonly tookSeconds: number;
  /** Whether the sync completed. `refused` lists operations that the kernel refused. */
  readonly succeeded: boolean;
  /** Number of operations that the kernel applied, and of those that failed. */
  readonly applied: number;
  readonly failed: number;
}

/** An operation that the kernel refused and that is retried. */
export interface RefusedOperationResponse {
  /** The object: a virtual server, an address or an element of the packet rules. */
  readonly what: string;
  readonly reason: string;
  /** Seconds since the first refusal. */
  readonly seconds: number;
  /** Seconds until the next attempt; absent if the next attempt waits for a change. */
  readonly nextTrySeconds?: number;
}

/** Changes by other programs that kube-ipvs repaired. */
export interface DriftResponse {
  /** The kind of object, such as `virtual-server`, and the difference, such as `missing` or `differs`. */
  readonly object: string;
  readonly drift: string;
  readonly count: number;
}

/** The packet rules of one IP family. */
export interface PacketRulesResponse {
  readonly inForce: boolean;
  /** Why they are not in force. */
  readonly trouble?: string;
}

export interface OrphanedVirtualServerResponse extends OrphanedResponse {
  /** A key, such as `TCP 10.96.0.1:443`. */
  readonly virtualServer: string;
  readonly service?: string;
}

/** A node that had been deleted when the daemon queried the API server. */
export interface DeletedNodeResponse {
  readonly node: string;
  readonly secondsAgo: number;
  /** Number of draining real servers that were deleted because of it. */
  readonly realServers: number;
}

/** `GET /v1/status`: the state of the daemon. */
export interface StatusResponse {
  readonly version: 1;
  /** The version of kube-ipvs. */
  readonly programVersion: string;
  readonly pid: number;
  /** A time, such as `2026-11-23T10:00:00.000Z`. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  /** The name of this Node, and its zone if it has one. */
  readonly node: string;
  readonly zone?: string;
  /** `uname -r`. */
  readonly kernelRelease: string;
  readonly scheduler: string;
  /** Twelve digits of a digest of the effective configuration, without names and addresses of nodes; as in the log. */
  readonly configDigest: string;
  readonly configFiles: readonly string[];
  readonly source: {
    /** `API server https://192.0.2.9:6443`, or `manifests` and their full path. */
    readonly name: string;
    /** Whether the first complete state has arrived. */
    readonly delivered: boolean;
    /** What currently prevents the daemon from following the cluster. */
    readonly trouble?: string;
  };
  /** Whether a first sync has completed and no sync has been outstanding for too long, as `/livez` reports. */
  readonly synced: boolean;
  readonly healthy: boolean;
  readonly lastSync?: SyncResponse;
  /** Numbers of objects: Services in the cluster, everything else in the kernel. */
  readonly counts: {
    readonly services: number;
    readonly virtualServers: number;
    readonly realServers: number;
    readonly addresses: number;
    readonly packetRuleElements: number;
    /** Virtual servers that other programs created. */
    readonly foreignVirtualServers: number;
    /** Real servers that are draining. */
    readonly draining: number;
    /** Orphaned virtual servers. */
    readonly lingering: number;
    /** Problems that prevent parts of Services from being served, conflicts included. */
    readonly problems: number;
  };
  /** At most the first 100. */
  readonly refused: readonly RefusedOperationResponse[];
  readonly refusedCount: number;
  /** Virtual servers that a Service needs but another program created. */
  readonly contested: readonly { readonly virtualServer: string; readonly service: string }[];
  /** Orphaned virtual servers, at most the first 100. `service` is as in `/v1/virtual-servers`. */
  readonly lingering: readonly OrphanedVirtualServerResponse[];
  /** Nodes that were deleted while their endpoints drained, the latest first; at most 100. */
  readonly lostNodes: readonly DeletedNodeResponse[];
  /** Repaired changes by other programs since the start; kinds that did not occur are absent. */
  readonly drift: readonly DriftResponse[];
  /** By IP family: `IPv4`, `IPv6`. A family that this node does not serve is absent. */
  readonly packetRules: Readonly<Record<string, PacketRulesResponse>>;
  /** The configured addresses of `health` and `metrics`; absent if disabled. */
  readonly ports: Readonly<Record<string, string>>;
}

/** Whether an endpoint is used, and why. */
export interface EndpointSelectionResponse {
  readonly used: boolean;
  readonly reason: UsedReason | UnusedReason;
}

/** An endpoint of one port of a Service. */
export interface EndpointResponse {
  /** Its real server, used or not, such as `10.244.1.5:8080`. */
  readonly realServer: string;
  /** The name ('' if it has none) and the protocol of the Service port. */
  readonly port: string;
  readonly protocol: string;
  /** As `namespace/name`. */
  readonly pod?: string;
  readonly node?: string;
  readonly zone?: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zoneHints?: readonly string[];
  readonly nodeHints?: readonly string[];
  /** The result for each traffic policy on this node. */
  readonly cluster: EndpointSelectionResponse;
  readonly local: EndpointSelectionResponse;
}

/** A virtual server of the Service. */
export interface ServedVirtualServerResponse extends VirtualServerDescription {
  /** Such as `TCP 10.96.0.1:443`. */
  readonly key: string;
  /** The traffic policy that applies to this address. */
  readonly policy: 'Cluster' | 'Local';
  /** The desired virtual server, as in `render -o json`; absent if an older Service has the address. */
  readonly wanted?: VirtualServerJson;
  /** The virtual server in the kernel, as last observed. */
  readonly kernel?: VirtualServerJson;
  /** The set of the packet rules that contains it, which decides how its packets are treated. */
  readonly packetClass: string;
}

/** An element of the packet rules. */
export interface ElementResponse {
  readonly family: string;
  /** The set, and the fields of the element as nft shows them. */
  readonly set: string;
  readonly element: string;
  readonly inKernel: boolean;
}

/** A problem that prevents a part of a Service from being served. */
export interface ProblemResponse {
  /** A reason, as in Events. */
  readonly reason: string;
  readonly message: string;
}

/** A recorded Event; it is sent to the API server if there is one. */
export interface EventResponse {
  /** A time, such as `2026-11-23T10:00:00.000Z`. */
  readonly at: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** The Service as kube-ipvs parsed it. */
export interface ServiceResponse {
  /** As `namespace/name`. */
  readonly name: string;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  readonly createdAt: string;
  readonly clusterIps: readonly string[];
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  readonly loadBalancerSourceRanges: readonly string[];
  readonly ports: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly port: number;
    readonly nodePort?: number;
  }[];
  readonly internalTrafficPolicy: 'Cluster' | 'Local';
  readonly externalTrafficPolicy: 'Cluster' | 'Local';
  /** Timeout of the ClientIP affinity. */
  readonly affinitySeconds?: number;
  /** The scheduler of the annotation. */
  readonly scheduler?: string;
  readonly healthCheckNodePort?: number;
}

/** `GET /v1/services/NAMESPACE/NAME`: one Service. 404 if there is none; the error then names its orphaned virtual servers. */
export interface ServiceReportResponse {
  readonly version: 1;
  readonly service: ServiceResponse;
  /** This node; the choice of endpoints depends on it. */
  readonly node: { readonly name: string; readonly zone?: string };
  /** Its EndpointSlices, as `namespace/name`. */
  readonly slices: readonly string[];
  /** By port and address; at most the first 5000. */
  readonly endpoints: readonly EndpointResponse[];
  readonly endpointCount: number;
  readonly virtualServers: readonly ServedVirtualServerResponse[];
  /** Its orphaned virtual servers, for ports and addresses that it had, by key. */
  readonly lingering: Readonly<Record<string, VirtualServerDescription>>;
  /** Its addresses, and whether they are on kube-ipvs0. */
  readonly addresses: readonly { readonly address: string; readonly bound: boolean }[];
  readonly elements: readonly ElementResponse[];
  /** What its health check node port reports for this node. */
  readonly healthCheck?: { readonly port: number; readonly localEndpoints: Readonly<Record<string, number>> };
  readonly problems: readonly ProblemResponse[];
  /** Events about this Service among the last 500 of all Services, the latest first. */
  readonly events: readonly EventResponse[];
  readonly refused: readonly RefusedOperationResponse[];
}

/** A Service that a lookup found, and why. */
export interface LookupMatch {
  /** As `namespace/name`. */
  readonly service: string;
  /**
   * Such as `ClusterIP 10.96.0.1`, `ClusterIP TCP 10.96.0.1:443`, `node port 30080`,
   * `endpoint 10.244.1.5` or `pod default/web-1`.
   */
  readonly because: string;
}

/** `GET /v1/lookup?q=TEXT`: Services by name, VIP, VIP:port, node port, or the address or name of a pod. */
export interface LookupResponse {
  readonly version: 1;
  readonly query: string;
  /** At most the first 1000. */
  readonly matches: readonly LookupMatch[];
}

/** A target that commands accept. */
export interface TargetResponse {
  /** Such as `shop/web`, `shop/web:http`, or the pod `shop/web-1`. */
  readonly target: string;
  /** A short description, such as `ClusterIP 10.96.0.1 http`. */
  readonly about: string;
}

/**
 * `GET /v1/targets?start=TEXT`: targets that begin with TEXT, for completion: Services, the ports
 * of a complete Service name, and the pods of a complete namespace.
 */
export interface TargetsResponse {
  readonly version: 1;
  /** At most the first 1000. */
  readonly targets: readonly TargetResponse[];
}

/** `GET /v1/plan`: the operations that the daemon would apply now. Empty if the kernel is in sync. */
export interface PlanResponse {
  readonly version: 1;
  /** Lines in the format of `--dry-run` and `diff`. */
  readonly operations: readonly string[];
}

/** `POST /v1/resync`: starts a resync now. The response does not wait for its end. */
export interface ResyncResponse {
  readonly version: 1;
  readonly accepted: true;
}

/** The response to an error (400, 404, 405). */
export interface ErrorResponse {
  readonly version: 1;
  readonly error: string;
}
