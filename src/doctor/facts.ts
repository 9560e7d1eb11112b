import type { Family, IpAddress } from '../base/ip.js';
import type { Settings } from '../config/settings.js';
import type { IpvsTimeouts } from '../kernel/ipvs/client.js';
import type { Link, LinkAddress } from '../kernel/rtnetlink/convert.js';
import type { KernelValue } from '../kernel/sysctl.js';
import type { ForwardFilter } from '../model/forward-filter.js';
import type { BaseChainHook } from '../model/nftables.js';
import type { Service } from '../model/service.js';
import type { VirtualServerIdentity } from '../model/virtual-server.js';
import type { StatusAnswer } from '../plan/admin-answers.js';
import type { Look } from './finding.js';

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
  readonly wantedBy: string;
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
  readonly who: string;
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

export interface Right {
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
  readonly rights: Look<readonly Right[]>;
  /** Whether there is a Node of our name. */
  readonly hasNode: Look<boolean>;
}

export interface UnreachedApi {
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
  readonly numbers: ReadonlyMap<string, KernelValue>;
  readonly localPorts: Look<{ readonly first: number; readonly last: number; readonly reserved: string }>;
  readonly initialNetwork: boolean;
  readonly dummyDriver: Look<'in use' | 'available' | 'absent'>;
  readonly ipvs: Look<Ipvs>;
  readonly ipvsTimeouts: Look<IpvsTimeouts>;
  readonly virtualServers: Look<readonly VirtualServerFact[]>;
  readonly schedulers: Look<readonly SchedulerFact[]>;
  readonly conntrackNetlink: Look<boolean>;
  readonly nftables: Look<readonly Family[]>;
  /** Everybody's chains. */
  readonly chains: Look<readonly ChainFact[]>;
  readonly legacyChains: Look<readonly ChainFact[]>;
  /** Names of everybody's sets of ipset. */
  readonly ipsets: Look<readonly string[]>;
  readonly ownRules: Look<readonly OwnRules[]>;
  readonly forwarding: Look<readonly ForwardFilter[]>;
  readonly legacyForwarding: Look<readonly ForwardFilter[]>;
  readonly network: Look<NetworkFacts>;
  readonly programs: Look<readonly ProgramFact[]>;
  /** TCP ports that somebody listens at in this network namespace. */
  readonly listening: Look<readonly number[]>;
  readonly process: Look<ProcessFacts>;
  readonly memory: Look<MemoryFacts>;
  readonly services: Look<readonly Service[]>;
  /** `files`: the Services come from files, and no API server is needed. */
  readonly api: Look<ApiFacts | UnreachedApi | 'files'>;
  /** Where the API server is reached, if that is an address. */
  readonly apiServerAddress: IpAddress | undefined;
  readonly daemon: Look<DaemonFacts>;
  /** What the daemon says of itself on its admin socket. */
  readonly status: Look<StatusAnswer>;
  /** Samples of the metrics page, summed over their labels but for those that the checks ask for: `name` or `name{resource="nodes"}`. */
  readonly metrics: Look<ReadonlyMap<string, number>>;
}

/** How to look at each part of the facts. */
export type Sources = { readonly [Part in keyof Facts]: () => Facts[Part] | Promise<Facts[Part]> };
