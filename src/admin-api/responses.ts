import type { VirtualServerJson } from '../plan/output/ipvs-table-formats.js';
import type { DriftResponse, SyncDaemonResponse } from './kernel-responses.js';
import type { EndpointResponse } from './endpoint-response.js';
import type { DrainResponse, PaceResponse } from './real-server-state.js';
import type { ServiceSettingResponse } from './service-setting.js';
import type { WeightReason } from '../plan/endpoints/endpoint-weight.js';

// docs/admin-api.md is generated from this file. Fields may be added within a version; none changes its meaning or is removed.

/** The version of the API: the field `version` of every response. */
export const adminVersion = 1;

/** The kind of address that a Service is exposed on, as the Kubernetes API names it; `InCluster`: requests from the cluster. */
export type FrontendKind = 'ClusterIP' | 'NodePort' | 'ExternalIP' | 'LoadBalancer' | 'InCluster';
export type ElementField = string | number;

/** A real server as the cluster describes it; unknown fields are absent. */
export interface RealServerDescription {
  /** Its pod, `namespace/name`. */
  readonly pod?: string;
  readonly node?: string;
  readonly zone?: string;
  /** `ready`: it is used; `last-resort`: it terminates, but no endpoint is ready; `draining`: it is not used and gets no new connections. */
  readonly state: 'ready' | 'last-resort' | 'draining';
  /** Where its weight comes from; absent where the Service has no weights. */
  readonly weightReason?: WeightReason;
  /** With `draining`, once the daemon has read its connections. */
  readonly drain?: DrainResponse;
  /** Absent with its full weight. */
  readonly pace?: PaceResponse;
}

/** A virtual server that no Service requests any more. It stays until its connections are closed. */
export interface OrphanedResponse {
  /** Seconds since the first of its real servers began to drain. */
  readonly seconds: number;
  /** Seconds until all its connections are cut, unless it is idle before. */
  readonly secondsLeft: number;
}

/** The Service and the endpoints behind a virtual server. */
export interface VirtualServerDescription {
  /** `namespace/name`. Absent only if no Service requests the virtual server since before the daemon started. */
  readonly service?: string;
  /** The port of the Service; `name` is '' if the port has none. Absent with `lingering`. */
  readonly port?: { readonly name: string; readonly port: number };
  /** Absent with `lingering`. */
  readonly frontend?: FrontendKind;
  /** Present if no Service requests the virtual server any more. */
  readonly lingering?: OrphanedResponse;
  /** Another program created the virtual server; kube-ipvs does not change it. */
  readonly contested?: true;
  /** By address and port: `10.244.1.5:8080`, `[fd00::5]:8080`. */
  readonly realServers: Readonly<Record<string, RealServerDescription>>;
}

/** `GET /v1/virtual-servers`: the Services and endpoints behind all virtual servers. `?service=NAMESPACE/NAME` and `?address=IP` select some. */
export interface VirtualServersResponse {
  readonly version: 1;
  /** By key, `TCP 10.96.0.1:443`, as in `dump -o json`. Virtual servers of other programs are absent. */
  readonly virtualServers: Readonly<Record<string, VirtualServerDescription>>;
}

/** The last sync that ended. */
export interface SyncResponse {
  /** For example `2026-11-23T10:00:00.000Z`. */
  readonly at: string;
  readonly secondsAgo: number;
  readonly tookSeconds: number;
  /** Whether it was completed. The operations that the kernel refused are in `refused`. */
  readonly succeeded: boolean;
  /** Operations that the kernel accepted, and refused. */
  readonly applied: number;
  readonly failed: number;
}

/** An object that the kernel refused and that kube-ipvs tries again. */
export interface RefusedOperationResponse {
  /** The key of a virtual server, an address, or an element of the packet rules. */
  readonly what: string;
  readonly reason: string;
  /** Seconds since it was first refused. */
  readonly seconds: number;
  /** Seconds until the next attempt; absent if there is none before a change. */
  readonly nextTrySeconds?: number;
}

/** The packet rules of one family. */
export interface PacketRulesResponse {
  readonly inForce: boolean;
  readonly trouble?: string;
}

export interface OrphanedVirtualServerResponse extends OrphanedResponse {
  /** Its key, `TCP 10.96.0.1:443`. */
  readonly virtualServer: string;
  readonly service?: string;
}

/** A node that the daemon looked up and that no longer exists. */
export interface DeletedNodeResponse {
  readonly node: string;
  readonly secondsAgo: number;
  /** Its draining real servers, which were deleted. */
  readonly realServers: number;
}

/** `GET /v1/status`: the status of the daemon. */
export interface StatusResponse {
  readonly version: 1;
  readonly programVersion: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  /** The name of the Node, and its zone if it has one. */
  readonly node: string;
  readonly zone?: string;
  /** `uname -r`. */
  readonly kernelRelease: string;
  readonly scheduler: string;
  /** Identifies the effective configuration, without the names and addresses of nodes; the log has it too. */
  readonly configDigest: string;
  readonly configFiles: readonly string[];
  readonly source: {
    /** For people: `API server https://192.0.2.9:6443`, or `manifests` and their full path. */
    readonly name: string;
    /** The full path of the manifests; absent if objects come from the API server. */
    readonly manifests?: string;
    /** Whether it has delivered its first full state. */
    readonly delivered: boolean;
    /** Why it cannot follow the cluster at present. */
    readonly trouble?: string;
  };
  /** `synced`: a sync has been completed since start. `healthy`: and none has been outstanding for too long, as `/livez` reports. */
  readonly synced: boolean;
  readonly healthy: boolean;
  readonly lastSync?: SyncResponse;
  /** Services are counted in the cluster, everything else in the kernel. */
  readonly counts: {
    readonly services: number;
    readonly virtualServers: number;
    readonly realServers: number;
    readonly addresses: number;
    readonly packetRuleElements: number;
    readonly foreignVirtualServers: number;
    readonly draining: number;
    /** Virtual servers that no Service requests any more. */
    readonly lingering: number;
    /** Reasons why parts of Services cannot be served, address conflicts included. */
    readonly problems: number;
  };
  /** The first 100. */
  readonly refused: readonly RefusedOperationResponse[];
  readonly refusedCount: number;
  /** Virtual servers that Services request and that another program created; kube-ipvs does not change them. */
  readonly contested: readonly { readonly virtualServer: string; readonly service: string }[];
  /** Virtual servers that no Service requests any more: the first 100. `service` as in `virtual-servers`. */
  readonly lingering: readonly OrphanedVirtualServerResponse[];
  /** Nodes that were deleted while real servers on them drained, the latest first; at most 100. */
  readonly lostNodes: readonly DeletedNodeResponse[];
  /** Changes by other programs that kube-ipvs repaired since it started. */
  readonly drift: readonly DriftResponse[];
  /** By family: `IPv4`, `IPv6`. Families that this node does not serve are absent. */
  readonly packetRules: Readonly<Record<string, PacketRulesResponse>>;
  /** Absent if `connectionSync` is not configured and no daemon runs. */
  readonly connectionSync?: readonly SyncDaemonResponse[];
  /** The configured addresses of `health` and `metrics`; a port that is turned off is absent. */
  readonly ports: Readonly<Record<string, string>>;
}

/** A virtual server of a Service. */
export interface ServedVirtualServerResponse extends VirtualServerDescription {
  /** For example `TCP 10.96.0.1:443`. */
  readonly key: string;
  /** The traffic policy that applies to this address. */
  readonly policy: 'Cluster' | 'Local';
  /** The desired state in the format of `render -o json`; absent if an older Service has the address and port. */
  readonly wanted?: VirtualServerJson;
  /** The last known state of the kernel. */
  readonly kernel?: VirtualServerJson;
  /** The key of the virtual server of its requests from the cluster, if another one serves them. */
  readonly inCluster?: string;
  /** How packets to it are handled: the name of the set of the packet rules that contains it. */
  readonly packetClass: string;
}

/** An element of the packet rules. */
export interface ElementResponse {
  readonly family: string;
  /** The set, and the element as nft prints it. */
  readonly set: string;
  readonly element: string;
  /** The fields of its key: addresses, protocols and ports. */
  readonly fields?: readonly ElementField[];
  readonly inKernel: boolean;
}

/** Why a part of a Service cannot be served as requested. */
export interface ProblemResponse {
  /** As the reason of the Event. */
  readonly reason: string;
  readonly message: string;
}

/** An Event of the Kubernetes API, sent or only logged. */
export interface EventResponse {
  readonly at: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** The Service as kube-ipvs reads it. */
export interface ServiceResponse {
  /** `namespace/name`. */
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
  /** Seconds of ClientIP affinity. */
  readonly affinitySeconds?: number;
  /** The valid value of the annotation that is in force. */
  readonly scheduler?: string;
  /** What annotations or `services` of the configuration choose, by the name of the annotation, such as `persistence-timeout`. */
  readonly settings?: Readonly<Record<string, ServiceSettingResponse>>;
  /** Where the weights of its endpoints come from; absent where all weigh the same. */
  readonly weightBy?: 'pod' | 'cpu-request' | 'zone';
  readonly healthCheckNodePort?: number;
}

/** `GET /v1/services/NAMESPACE/NAME`: everything about one Service. 404 if there is none; `error` mentions virtual servers that it left. */
export interface ServiceReportResponse {
  readonly version: 1;
  readonly service: ServiceResponse;
  /** This node; the selection of endpoints depends on it. */
  readonly node: { readonly name: string; readonly zone?: string };
  /** EndpointSlices, `namespace/name`. */
  readonly slices: readonly string[];
  /** The first 5000, by port and address. */
  readonly endpoints: readonly EndpointResponse[];
  readonly endpointCount: number;
  readonly virtualServers: readonly ServedVirtualServerResponse[];
  /** Virtual servers that it no longer requests, by key. */
  readonly lingering: Readonly<Record<string, VirtualServerDescription>>;
  /** Its addresses, and whether they are bound, on kube-ipvs0 or as local routes. */
  readonly addresses: readonly { readonly address: string; readonly bound: boolean }[];
  readonly elements: readonly ElementResponse[];
  /** The response of its health check port on this node. */
  readonly healthCheck?: { readonly port: number; readonly localEndpoints: Readonly<Record<string, number>> };
  readonly problems: readonly ProblemResponse[];
  /** The Events of this Service among the last 500 of all Services, the latest first. */
  readonly events: readonly EventResponse[];
  readonly refused: readonly RefusedOperationResponse[];
}

/** A Service that a search found. */
export interface LookupMatch {
  readonly service: string;
  /** Why it was found, for people: `ClusterIP 10.96.0.1`, `ClusterIP TCP 10.96.0.1:443`, `node port 30080`, `endpoint 10.244.1.5`, `pod default/web-1`. */
  readonly because: string;
  readonly matched?: 'service' | 'address' | 'virtual-server' | 'node-port' | 'endpoint' | 'pod';
  /** With `virtual-server`: its protocol. */
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
  /** With `pod`: its `namespace/name`; with `endpoint`: its address, or its address and port. */
  readonly endpoint?: string;
}

/** `GET /v1/lookup?q=TEXT`: finds Services by name, VIP, VIP:port, node port, or the name or address of a pod. */
export interface LookupResponse {
  readonly version: 1;
  readonly query: string;
  /** The first 1000. */
  readonly matches: readonly LookupMatch[];
}

/** A target of a command, for example `shop/web`, `shop/web:http`, or a pod, `shop/web-1`. */
export interface TargetResponse {
  readonly target: string;
  /** A short description, for example `ClusterIP 10.96.0.1 http`. */
  readonly about: string;
}

/** `GET /v1/targets?start=TEXT`: targets with this prefix, for shell completion: Services; with a whole Service its ports, with a whole namespace its pods. */
export interface TargetsResponse {
  readonly version: 1;
  /** The first 1000. */
  readonly targets: readonly TargetResponse[];
}

/** `GET /v1/plan`: the operations that the daemon would do now, by what it knows of the kernel. Empty if the kernel is in sync. */
export interface PlanResponse {
  readonly version: 1;
  /** Lines in the format of `--dry-run` and `diff`. */
  readonly operations: readonly string[];
}

/** `POST /v1/resync`: read and repair the kernel now instead of at the next resync. The response does not wait for the end. */
export interface ResyncResponse {
  readonly version: 1;
  readonly accepted: true;
}

/** The response to an error (400, 404, 405). */
export interface ErrorResponse {
  readonly version: 1;
  readonly error: string;
}
