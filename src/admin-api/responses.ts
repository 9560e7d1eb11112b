import type { VirtualServerJson } from '../plan/output/ipvs-table-formats.js';
import type { UnusedReason, UsedReason } from '../plan/endpoints/endpoint-selection.js';

// What a running daemon answers on its admin socket. docs/admin-api.md is made from this file: what stands here is what
// people read. Fields may be added within a version; none changes its meaning or goes.

/** The version of all answers, which each of them has as `version`. */
export const adminVersion = 1;

/** How an address came to be a Service's, in the words of the API. */
export type FrontendKind = 'ClusterIP' | 'NodePort' | 'ExternalIP' | 'LoadBalancer';

/** What is under way with a real server that gets no new connections any more. */
export interface DrainResponse {
  /** Seconds since it began. */
  readonly seconds: number;
  /** Seconds until its connections are cut, where it has not become idle before. */
  readonly secondsLeft: number;
  /** Why it is not used any more: it is no endpoint now (`gone`), or what `endpoints` of its Service says of it. */
  readonly reason: UnusedReason | 'gone';
}

/** A real server, as far as the cluster knows of it; what nobody has told is absent. */
export interface RealServerDescription {
  /** The pod behind it, as `namespace/name`. */
  readonly pod?: string;
  readonly node?: string;
  readonly zone?: string;
  /** `ready`: it is wanted; `last-resort`: it ends, but none is ready; `draining`: not wanted, and it gets nothing new. */
  readonly state: 'ready' | 'last-resort' | 'draining';
  /** Where the state is `draining`, as soon as the daemon has looked at it. */
  readonly drain?: DrainResponse;
}

/** What is under way with a virtual server that no Service asks for any more: it stays for its open connections. */
export interface OrphanedResponse {
  /** Seconds since the first of its real servers drains. */
  readonly seconds: number;
  /** Seconds until all its connections are cut, where it has not become idle before. */
  readonly secondsLeft: number;
}

/** Whose a virtual server is. */
export interface VirtualServerDescription {
  /** As `namespace/name`. Absent only where it lingers since before the daemon started, so that nobody knows it. */
  readonly service?: string;
  /** The port of the Service; `name` is '' where it has none. Absent where it lingers. */
  readonly port?: { readonly name: string; readonly port: number };
  /** Absent where it lingers. */
  readonly frontend?: FrontendKind;
  /** Where it lingers. */
  readonly lingering?: OrphanedResponse;
  /** Somebody else has made it, and it is left alone. */
  readonly contested?: true;
  /** By address and port, as `10.244.1.5:8080`, `[fd00::5]:8080`. */
  readonly realServers: Readonly<Record<string, RealServerDescription>>;
}

/** `GET /v1/virtual-servers`: whose everything is. `?service=NAMESPACE/NAME` and `?address=IP` narrow it. */
export interface VirtualServersResponse {
  readonly version: 1;
  /** By `TCP 10.96.0.1:443`, as in `dump -o json`. Virtual servers of others are absent. */
  readonly virtualServers: Readonly<Record<string, VirtualServerDescription>>;
}

/** The last sync that came to an end. */
export interface SyncResponse {
  /** As `2026-11-23T10:00:00.000Z`. */
  readonly at: string;
  readonly secondsAgo: number;
  readonly tookSeconds: number;
  /** Whether it came to its end; what the kernel refused of it is in `refused`. */
  readonly succeeded: boolean;
  /** Operations that the kernel did, and did not. */
  readonly applied: number;
  readonly failed: number;
}

/** Something that the kernel refused and that is tried again. */
export interface RefusedOperationResponse {
  /** A virtual server, an address or an element of the packet rules. */
  readonly what: string;
  readonly reason: string;
  /** Seconds since it was refused first. */
  readonly seconds: number;
  /** Seconds until it is tried again; absent where that happens only when something changes. */
  readonly nextTrySeconds?: number;
}

/** Something that was not as it was left. */
export interface DriftResponse {
  /** As `address`, `virtual-server`, `packet-rule`; and how it was wrong, as `missing`, `differs`. */
  readonly object: string;
  readonly drift: string;
  readonly count: number;
}

/** The packet rules of one family. */
export interface PacketRulesResponse {
  readonly inForce: boolean;
  /** Why not. */
  readonly trouble?: string;
}

export interface OrphanedVirtualServerResponse extends OrphanedResponse {
  /** As `TCP 10.96.0.1:443`. */
  readonly virtualServer: string;
  readonly service?: string;
}

/** A node that was gone when the daemon asked for it. */
export interface DeletedNodeResponse {
  readonly node: string;
  readonly secondsAgo: number;
  /** Draining real servers that were deleted for it. */
  readonly realServers: number;
}

/** `GET /v1/status`: how the daemon does. */
export interface StatusResponse {
  readonly version: 1;
  /** Of kube-ipvs. */
  readonly programVersion: string;
  readonly pid: number;
  /** As `2026-11-23T10:00:00.000Z`. */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  /** The name of this Node, and its zone where it has one. */
  readonly node: string;
  readonly zone?: string;
  /** `uname -r`. */
  readonly kernelRelease: string;
  readonly scheduler: string;
  /** Twelve digits that differ where the effective configuration does, but for the names and addresses of nodes; the log has the same ones. */
  readonly configDigest: string;
  readonly configFiles: readonly string[];
  readonly source: {
    /** As `API server https://192.0.2.9:6443`, or `manifests` and their full path. */
    readonly name: string;
    /** Whether its first full state has come. */
    readonly delivered: boolean;
    /** What keeps it from following the cluster now. */
    readonly trouble?: string;
  };
  /** Whether the kernel was brought up to date once, and no sync has been outstanding for too long: what `/livez` says. */
  readonly synced: boolean;
  readonly healthy: boolean;
  readonly lastSync?: SyncResponse;
  /** What there is: Services from the cluster, everything else in the kernel. */
  readonly counts: {
    readonly services: number;
    readonly virtualServers: number;
    readonly realServers: number;
    readonly addresses: number;
    readonly packetRuleElements: number;
    /** Virtual servers of somebody else. */
    readonly foreignVirtualServers: number;
    /** Real servers. */
    readonly draining: number;
    /** Virtual servers that no Service asks for any more. */
    readonly lingering: number;
    /** What keeps parts of Services from being served, clashes among them. */
    readonly problems: number;
  };
  /** The first 100. */
  readonly refused: readonly RefusedOperationResponse[];
  readonly refusedCount: number;
  /** Virtual servers that Services ask for and that somebody else has made: left alone. */
  readonly contested: readonly { readonly virtualServer: string; readonly service: string }[];
  /** Virtual servers that no Service asks for any more: the first 100. `service` as in `virtual-servers`. */
  readonly lingering: readonly OrphanedVirtualServerResponse[];
  /** Nodes that were found to be gone while something of them drained, the latest first; at most 100. */
  readonly lostNodes: readonly DeletedNodeResponse[];
  /** What somebody else had changed and was put right, since the start; what never happened is absent. */
  readonly drift: readonly DriftResponse[];
  /** By family: `IPv4`, `IPv6`. A family that this node does not serve is absent. */
  readonly packetRules: Readonly<Record<string, PacketRulesResponse>>;
  /** Where `health` and `metrics` are served, as the configuration says; one that is turned off is absent. */
  readonly ports: Readonly<Record<string, string>>;
}

/** Why an endpoint is used or not. */
export interface EndpointSelectionResponse {
  readonly used: boolean;
  readonly reason: UsedReason | UnusedReason;
}

/** An endpoint of a Service on one of its ports. */
export interface EndpointResponse {
  /** The real server that it is or would be, as `10.244.1.5:8080`. */
  readonly realServer: string;
  /** The port of the Service, by its name ('' where it has none) and protocol. */
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
  /** What traffic policy Cluster makes of it on this node, and Local. */
  readonly cluster: EndpointSelectionResponse;
  readonly local: EndpointSelectionResponse;
}

/** A virtual server of a Service. */
export interface ServedVirtualServerResponse extends VirtualServerDescription {
  /** As `TCP 10.96.0.1:443`. */
  readonly key: string;
  /** The traffic policy that counts for this address. */
  readonly policy: 'Cluster' | 'Local';
  /** As it is to be, in the words of `render -o json`; absent where an older Service has the address. */
  readonly wanted?: VirtualServerJson;
  /** As the kernel is known to have it. */
  readonly kernel?: VirtualServerJson;
  /** How packets to it are treated: the map of the packet rules that names it. */
  readonly packetClass: string;
}

/** An element of the packet rules. */
export interface ElementResponse {
  readonly family: string;
  /** The set, and the fields as nft shows them. */
  readonly set: string;
  readonly element: string;
  readonly inKernel: boolean;
}

/** Something that keeps a part of a Service from being served as it asks. */
export interface ProblemResponse {
  /** As the reasons of events. */
  readonly reason: string;
  readonly message: string;
}

/** Something that was told as an event of the API, or would have been. */
export interface EventResponse {
  /** As `2026-11-23T10:00:00.000Z`. */
  readonly at: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** The Service as it was understood. */
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
  /** Seconds of ClientIP affinity. */
  readonly affinitySeconds?: number;
  /** By annotation. */
  readonly scheduler?: string;
  readonly healthCheckNodePort?: number;
}

/** `GET /v1/services/NAMESPACE/NAME`: all about one Service. 404 where there is none, with what lingers of it in the words of the error. */
export interface ServiceReportResponse {
  readonly version: 1;
  readonly service: ServiceResponse;
  /** This node, which the choice of endpoints depends on. */
  readonly node: { readonly name: string; readonly zone?: string };
  /** EndpointSlices, as `namespace/name`. */
  readonly slices: readonly string[];
  /** The first 5000 by port and address. */
  readonly endpoints: readonly EndpointResponse[];
  readonly endpointCount: number;
  readonly virtualServers: readonly ServedVirtualServerResponse[];
  /** Its virtual servers that it does not ask for any more, for a port or an address that it had, by their keys. */
  readonly lingering: Readonly<Record<string, VirtualServerDescription>>;
  /** On kube-ipvs0. */
  readonly addresses: readonly { readonly address: string; readonly bound: boolean }[];
  readonly elements: readonly ElementResponse[];
  /** What its health check port says of this node. */
  readonly healthCheck?: { readonly port: number; readonly localEndpoints: Readonly<Record<string, number>> };
  readonly problems: readonly ProblemResponse[];
  /** Those of the last 500 of all Services that are about this one, the latest first. */
  readonly events: readonly EventResponse[];
  readonly refused: readonly RefusedOperationResponse[];
}

/** What a search has found: a Service, and why. */
export interface LookupMatch {
  /** As `namespace/name`. */
  readonly service: string;
  /** As `ClusterIP 10.96.0.1`, `ClusterIP TCP 10.96.0.1:443`, `node port 30080`, `endpoint 10.244.1.5`, `pod default/web-1`. */
  readonly because: string;
}

/** `GET /v1/lookup?q=TEXT`: Services by name, VIP, VIP:port, node port, or address or name of a pod. */
export interface LookupResponse {
  readonly version: 1;
  readonly query: string;
  /** The first 1000. */
  readonly matches: readonly LookupMatch[];
}

/** What a command can be asked about. */
export interface TargetResponse {
  /** As `shop/web`, `shop/web:http`, and of a pod `shop/web-1`. */
  readonly target: string;
  /** A few words, as `ClusterIP 10.96.0.1 http`. */
  readonly about: string;
}

/** `GET /v1/targets?start=TEXT`: what begins so, for completion: Services, ports of a Service and pods of a namespace that are written out. */
export interface TargetsResponse {
  readonly version: 1;
  /** The first 1000. */
  readonly targets: readonly TargetResponse[];
}

/** `GET /v1/plan`: what the daemon would do now, by what it knows of the kernel. Empty where all is done. */
export interface PlanResponse {
  readonly version: 1;
  /** Lines of the language of `--dry-run` and `diff`. */
  readonly operations: readonly string[];
}

/** `POST /v1/resync`: the kernel is read and repaired now, without waiting for the next resync. The answer does not wait for its end. */
export interface ResyncResponse {
  readonly version: 1;
  readonly accepted: true;
}

/** What an error (400, 404, 405) answers. */
export interface ErrorResponse {
  readonly version: 1;
  readonly error: string;
}
