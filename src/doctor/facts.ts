import type { Family, IpAddress } from '../base/ip.js';
import type { Settings } from '../config/settings.js';
import type { IpvsTimeouts } from '../kernel/ipvs/client.js';
import type { Link, LinkAddress } from '../kernel/rtnetlink/convert.js';
import type { KernelParameterValue } from '../kernel/sysctl.js';
import type { ForwardFilter } from '../model/forward-filter.js';
import type { BaseChainHook } from '../nftables/declarations.js';
import type { Service } from '../model/service.js';
import type { VirtualServerIdentity } from '../model/virtual-server.js';
import type { StatusResponse } from '../admin-api/responses.js';
import type { Fact } from './check-result.js';

/** /proc/net/ip_vs: what anybody may read of IPVS. */
export interface IpvsTable {
  /** As `1.2.1`. */
  readonly version: string;
  /** Buckets of the connection table. */
  readonly buckets: number;
  readonly virtualServers: number;
  readonly realServers: number;
  /** Active and inactive ones of all real servers. */
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
  /** Who wants it: `the configuration`, `Service default/web`. */
  readonly requestedBy: string;
  readonly present: boolean;
}

/** A chain of anybody's table; iptables-legacy has tables of its own, ip and ip6. */
export interface ChainFact {
  readonly by: 'nftables' | 'iptables-legacy';
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly chain: string;
  /** Undefined: entered only from other chains, or not looked at. */
  readonly hook: BaseChainHook | undefined;
}

export interface OwnRules {
  readonly family: Family;
  /** Chains with a hook; none where the table is dormant. */
  readonly hooks: number;
  readonly elements: number;
}

export interface NetworkFacts {
  readonly links: readonly (Link & { readonly mtu: number | undefined })[];
  readonly addresses: readonly LinkAddress[];
  readonly gateways: readonly IpAddress[];
}

export interface ProgramFact {
  /** As `kube-proxy`, `keepalived`. */
  readonly name: string;
  readonly pid: number;
}

export interface ProcessFacts {
  /** `this process` or `the daemon (process 12)`. */
  readonly processName: string;
  readonly user: number;
  /** Effective, as `NET_ADMIN`. */
  readonly capabilities: readonly string[];
  /** Descriptors that it may have open. */
  readonly openFiles: number;
}

export interface MemoryFacts {
  /** Bytes. */
  readonly limit: number | undefined;
  readonly used: number;
}

export interface Permission {
  /** As `list`. */
  readonly verb: string;
  /** As `endpointslices.discovery.k8s.io`. */
  readonly resource: string;
  readonly allowed: boolean;
}

/** The API server answered. */
export interface ApiFacts {
  readonly reached: true;
  readonly server: string;
  /** As `v1.36.2`. */
  readonly version: string;
  /** For the answer to begin. */
  readonly milliseconds: number;
  /** Our clock less the server's, seconds; undefined where it says no time. */
  readonly clockAhead: number | undefined;
  /** When our credential ends, milliseconds since 1970; undefined: it does not say. */
  readonly credential: { readonly kind: 'certificate' | 'token'; readonly ends: number } | undefined;
  readonly permissions: Fact<readonly Permission[]>;
  /** Whether there is a Node of our name. */
  readonly hasNode: Fact<boolean>;
}

export interface UnreachableApi {
  readonly reached: false;
  readonly server: string;
  readonly reason: string;
}

/** How the daemon's own pages answer. */
export interface DaemonFacts {
  /** Of /healthz. */
  readonly status: number;
  /** As `nodeEligible: false`. */
  readonly eligible: boolean | undefined;
  readonly healthy: boolean | undefined;
}

/** Everything that the checks know. Each part stands for itself: where one could not be looked at, the others still are. */
export interface Facts {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** As `uname -r` has it. */
  readonly release: string;
  readonly cpus: number;
  readonly configuration: {
    /** As they were given, or found. */
    readonly files: readonly string[];
    /** Defaults where there is a problem. */
    readonly settings: Settings;
    readonly problem: string | undefined;
  };
  /** Kernel settings by their dotted name. */
  readonly kernelSettings: ReadonlyMap<string, KernelParameterValue>;
  readonly localPorts: Fact<{ readonly first: number; readonly last: number; readonly reserved: string }>;
  readonly initialNetwork: boolean;
  readonly dummyDriver: Fact<'in use' | 'available' | 'absent'>;
  readonly ipvs: Fact<Ipvs>;
  readonly ipvsTimeouts: Fact<IpvsTimeouts>;
  readonly virtualServers: Fact<readonly VirtualServerFact[]>;
  readonly schedulers: Fact<readonly SchedulerFact[]>;
  readonly conntrackNetlink: Fact<boolean>;
  readonly nftables: Fact<readonly Family[]>;
  /** Everybody's chains. */
  readonly chains: Fact<readonly ChainFact[]>;
  readonly legacyChains: Fact<readonly ChainFact[]>;
  /** Names of everybody's sets of ipset. */
  readonly ipsets: Fact<readonly string[]>;
  readonly ownRules: Fact<readonly OwnRules[]>;
  readonly forwarding: Fact<readonly ForwardFilter[]>;
  readonly legacyForwarding: Fact<readonly ForwardFilter[]>;
  readonly network: Fact<NetworkFacts>;
  readonly programs: Fact<readonly ProgramFact[]>;
  /** TCP ports that somebody listens at in this network namespace. */
  readonly listening: Fact<readonly number[]>;
  readonly process: Fact<ProcessFacts>;
  readonly memory: Fact<MemoryFacts>;
  readonly services: Fact<readonly Service[]>;
  /** `files`: the Services come from files, and no API server is needed. */
  readonly api: Fact<ApiFacts | UnreachableApi | 'files'>;
  /** Where the API server is reached, if that is an address. */
  readonly apiServerAddress: IpAddress | undefined;
  readonly daemon: Fact<DaemonFacts>;
  /** What the daemon says of itself on its admin socket. */
  readonly status: Fact<StatusResponse>;
  /** Samples of the metrics page, summed over their labels but for those that the checks ask for: `name` or `name{resource="nodes"}`. */
  readonly metrics: Fact<ReadonlyMap<string, number>>;
}

/** How to look at each part of the facts. */
export type FactSources = { readonly [Part in keyof Facts]: () => Facts[Part] | Promise<Facts[Part]> };
