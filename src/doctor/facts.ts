import type { Family, IpAddress } from '../base/ip.js';
import type { Settings } from '../config/settings.js';
import type { IpvsTimeouts } from '../kernel/ipvs/client.js';
import type { Link, LinkAddress } from '../kernel/rtnetlink/convert.js';
import type { ForeignLocalRoute } from '../kernel/rtnetlink/vip-routes.js';
import type { KernelParameterValue } from '../kernel/sysctl.js';
import type { ForwardFilter } from '../model/forward-filter.js';
import type { BaseChainHook } from '../nftables/declarations.js';
import type { Service } from '../model/service.js';
import type { SyncDaemon } from '../model/sync-daemon.js';
import type { VirtualServerIdentity } from '../model/virtual-server.js';
import type { StatusResponse } from '../admin-api/responses.js';
import type { Fact } from './check-result.js';
import type { DependentRule, KubeProxyFact, ProxyMode } from './migration/migration-facts.js';

/** /proc/net/ip_vs: the state of IPVS that every user may read. */
export interface IpvsTable {
  /** For example `1.2.1`. */
  readonly version: string;
  /** Buckets of the connection table. */
  readonly buckets: number;
  readonly virtualServers: number;
  readonly realServers: number;
  /** Active and inactive connections of all real servers. */
  readonly connections: number;
}

/** `absent`: this kernel has no IPVS, or its module is not loaded. */
export type Ipvs = IpvsTable | 'absent';

export interface VirtualServerFact {
  readonly identity: VirtualServerIdentity;
  readonly scheduler: string;
  /** Whether a set of our packet rules names it. */
  readonly ours: boolean;
}

export interface SchedulerFact {
  readonly name: string;
  /** `the configuration` or, for example, `Service default/web`. */
  readonly requestedBy: string;
  readonly present: boolean;
}

/** A chain of any program; iptables-legacy has separate tables, ip and ip6. */
export interface ChainFact {
  readonly by: 'nftables' | 'iptables-legacy';
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly chain: string;
  /** Undefined: only other chains enter it, or the hook was not read. */
  readonly hook: BaseChainHook | undefined;
}

export interface OwnRules {
  readonly family: Family;
  /** Chains with a hook; none where the table is dormant. */
  readonly hooks: number;
  readonly elements: number;
}

export interface NetworkFacts {
  /** The interface of the instance, which has its VIPs. */
  readonly dummyInterface: string;
  readonly links: readonly (Link & { readonly mtu: number | undefined })[];
  readonly addresses: readonly LinkAddress[];
  readonly gateways: readonly IpAddress[];
  /** The VIPs that have a local route of kube-ipvs. */
  readonly vipRoutes: readonly IpAddress[];
  readonly foreignLocalRoutes: readonly ForeignLocalRoute[];
}

export interface ProgramFact {
  /** For example `kube-proxy`. */
  readonly name: string;
  readonly pid: number;
}

export interface ProcessFacts {
  /** `this process` or `the daemon (process 12)`. */
  readonly processName: string;
  readonly user: number;
  /** The effective ones, for example `NET_ADMIN`. */
  readonly capabilities: readonly string[];
  /** The limit of open file descriptors. */
  readonly openFiles: number;
}

export interface MemoryFacts {
  /** Bytes. */
  readonly limit: number | undefined;
  readonly used: number;
}

export interface Permission {
  /** For example `list`. */
  readonly verb: string;
  /** For example `endpointslices.discovery.k8s.io`. */
  readonly resource: string;
  readonly allowed: boolean;
}

/** What the cluster has of kube-proxy, in the namespace kube-system. */
export interface InstalledKubeProxy {
  readonly daemonSet:
    | {
        /** Of its first container. */
        readonly image: string;
        /** Whether its nodeSelector matches this node. */
        readonly selectsNode: boolean;
      }
    | undefined;
  readonly hasConfigMap: boolean;
  /** The ConfigMap kubeadm-config; undefined in a cluster that kubeadm did not make. */
  readonly kubeadm: { readonly proxyDisabled: boolean } | undefined;
  /** Names of its pods on this node; undefined where they may not be listed. */
  readonly pods: readonly string[] | undefined;
}

/** The API server answered. */
export interface ApiFacts {
  readonly reached: true;
  readonly server: string;
  /** For example `v1.36.2`. */
  readonly version: string;
  /** Until the response began. */
  readonly milliseconds: number;
  /** Seconds by which the local clock is ahead of the server's; undefined where the server reports no time. */
  readonly clockAhead: number | undefined;
  /** `ends`: when it expires, milliseconds since 1970; undefined: it has no expiry time. */
  readonly credential: { readonly kind: 'certificate' | 'token'; readonly ends: number } | undefined;
  readonly permissions: Fact<readonly Permission[]>;
  /** Those that only weights from pods need. */
  readonly podPermissions: Fact<readonly Permission[]>;
  /** Whether the Node object of this node exists. */
  readonly hasNode: Fact<boolean>;
  readonly kubeProxy: Fact<InstalledKubeProxy>;
}

export interface UnreachableApi {
  readonly reached: false;
  readonly server: string;
  readonly reason: string;
}

/** The response of the daemon's health port. */
export interface DaemonFacts {
  /** The HTTP status of /healthz; 0: no connection. */
  readonly status: number;
  /** `nodeEligible` in the body. */
  readonly eligible: boolean | undefined;
  readonly healthy: boolean | undefined;
}

/** Everything that the checks read. One fact that cannot be read does not affect the others. */
export interface Facts {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** As `uname -r` prints it. */
  readonly release: string;
  readonly cpus: number;
  readonly configuration: {
    /** From --config, or the default file. */
    readonly files: readonly string[];
    /** The defaults where the configuration is not valid. */
    readonly settings: Settings;
    /** One for each invalid field; empty where the configuration is valid. */
    readonly problems: readonly string[];
  };
  /** Kernel settings by their dotted name. */
  readonly kernelSettings: ReadonlyMap<string, KernelParameterValue>;
  readonly localPorts: Fact<{ readonly first: number; readonly last: number; readonly reserved: string }>;
  readonly initialNetwork: boolean;
  readonly dummyDriver: Fact<'in use' | 'available' | 'absent'>;
  readonly ipvs: Fact<Ipvs>;
  readonly ipvsTimeouts: Fact<IpvsTimeouts>;
  readonly virtualServers: Fact<readonly VirtualServerFact[]>;
  /** Of all programs. */
  readonly syncDaemons: Fact<readonly SyncDaemon[]>;
  readonly schedulers: Fact<readonly SchedulerFact[]>;
  readonly conntrackNetlink: Fact<boolean>;
  readonly nftables: Fact<readonly Family[]>;
  /** Of all programs but kube-ipvs. */
  readonly chains: Fact<readonly ChainFact[]>;
  readonly legacyChains: Fact<readonly ChainFact[]>;
  /** Names of the ipsets of all programs. */
  readonly ipsets: Fact<readonly string[]>;
  readonly ownRules: Fact<readonly OwnRules[]>;
  readonly forwarding: Fact<readonly ForwardFilter[]>;
  readonly legacyForwarding: Fact<readonly ForwardFilter[]>;
  readonly network: Fact<NetworkFacts>;
  readonly programs: Fact<readonly ProgramFact[]>;
  /** TCP ports on which a process of this network namespace listens. */
  readonly listening: Fact<readonly number[]>;
  readonly process: Fact<ProcessFacts>;
  readonly memory: Fact<MemoryFacts>;
  readonly services: Fact<readonly Service[]>;
  /** `files`: the Services come from files, no API server is needed. */
  readonly api: Fact<ApiFacts | UnreachableApi | 'files'>;
  /** The address of the API server; undefined where it is a name. */
  readonly apiServerAddress: IpAddress | undefined;
  /** Undefined: no kube-proxy process is visible. */
  readonly runningKubeProxy: Fact<KubeProxyFact | undefined>;
  /** Of the running kube-proxy, or of the rules that it left; undefined: neither. */
  readonly proxyMode: Fact<ProxyMode | undefined>;
  readonly dependentRules: Fact<readonly DependentRule[]>;
  readonly daemon: Fact<DaemonFacts>;
  /** From the daemon's admin socket. */
  readonly status: Fact<StatusResponse>;
  /** Samples of the metrics page, summed over their labels as `name`; those with the label `resource` also as `name{resource="nodes"}`. */
  readonly metrics: Fact<ReadonlyMap<string, number>>;
}

/** How to collect each fact. */
export type FactSources = { readonly [Part in keyof Facts]: () => Facts[Part] | Promise<Facts[Part]> };
