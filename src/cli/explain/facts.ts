import { parseSocketAddress, parseVirtualServerKey } from '../../admin-api/desired-response.js';
import type { EndpointResponse } from '../../admin-api/endpoint-response.js';
import type {
  ServedVirtualServerResponse,
  ServiceReportResponse,
  StatusResponse,
} from '../../admin-api/responses.js';
import type { Family, IpAddress } from '../../base/ip.js';
import type { CheckReport } from '../../doctor/all-checks.js';
import type { Fact } from '../../doctor/check-result.js';
import type { Remedy } from '../../doctor/remedy.js';
import type { VipBindings } from '../../model/settings/vip-binding.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import type { RuleEnvironment } from '../../nftables/rule-interpreter.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';

export type AddressIdentity = Extract<VirtualServerIdentity, { by: 'address' }>;

/** A virtual server of the Service, with what its key says. */
export interface ServedVirtualServer extends ServedVirtualServerResponse {
  readonly identity: VirtualServerIdentity;
}

export const servedVirtualServer = (response: ServedVirtualServerResponse): ServedVirtualServer => {
  const identity = parseVirtualServerKey(response.key);
  if (identity === undefined) throw new TypeError(`"${response.key}" is not a valid virtual server key`);
  return { ...response, identity };
};

/** An endpoint of the Service, with the address in its key. */
export interface ServiceEndpoint extends EndpointResponse {
  readonly address: IpAddress;
}

export const serviceEndpoint = (response: EndpointResponse): ServiceEndpoint => ({
  ...response,
  address: parseSocketAddress(response.realServer).address,
});

/** The state of the kernel, read just now. */
export interface KernelFacts {
  /** By key: the virtual servers of the report. */
  readonly virtualServers: ReadonlyMap<string, ObservedVirtualServer>;
  /** The name of the interface that has the VIPs of the instance. */
  readonly dummyInterface: string;
  /** The VIPs that are bound, and how. */
  readonly vips: ReadonlyMap<IpAddress, VipBindings>;
  /** Local on this node: the addresses of every interface, and the VIPs. */
  readonly addresses: ReadonlySet<IpAddress>;
  /** The packet rules of kube-ipvs; a family without them is absent. */
  readonly rules: Readonly<Partial<Record<Family, RuleEnvironment>>>;
}

/** Everything that a report is made from. */
export interface ReportFacts {
  /** As the user wrote it. */
  readonly target: string;
  /** The daemon's report; undefined: no Service requests the target, or no daemon runs. */
  readonly service: ServiceReportResponse | undefined;
  /** The virtual servers of the Service that the target selects. */
  readonly served: readonly ServedVirtualServer[];
  readonly endpoints: readonly ServiceEndpoint[];
  /** The pod that is the target: `namespace/name`, its address, or its address and port. */
  readonly pod: string | undefined;
  readonly kernel: Fact<KernelFacts>;
  /** The doctor's checks that concern packets. */
  readonly node: readonly CheckReport[];
  readonly status: Fact<StatusResponse>;
}

/** `ok`: as it should be; `note`: for information; `warn`: works, but needs attention; `fail`: does not work. */
export type Mark = 'ok' | 'note' | 'warn' | 'fail';

export interface CheckLine {
  readonly mark: Mark;
  readonly text: string;
  /** Printed below the text as they are. */
  readonly details?: readonly string[];
  readonly remedies?: readonly Remedy[];
}

export const sectionTitles = {
  service: 'Service',
  endpoints: 'Endpoints',
  kernel: 'Kernel',
  'packet-rules': 'Packet rules',
  node: 'Node',
  daemon: 'Daemon',
} as const;

export type SectionId = keyof typeof sectionTitles;

/** Checks one aspect of a target. Pure: it reads the facts and nothing else. */
export interface ReportCheck {
  readonly id: string;
  /** What it checks, for the documentation. */
  readonly title: string;
  readonly check: (facts: ReportFacts) => readonly CheckLine[];
}

export const ok = (text: string, details: readonly string[] = []): CheckLine => ({
  mark: 'ok',
  text,
  details,
});
export const note = (text: string, details: readonly string[] = []): CheckLine => ({
  mark: 'note',
  text,
  details,
});
export const warn = (
  text: string,
  remedies: readonly Remedy[],
  details: readonly string[] = [],
): CheckLine => ({ mark: 'warn', text, remedies, details });
export const fail = (
  text: string,
  remedies: readonly Remedy[],
  details: readonly string[] = [],
): CheckLine => ({ mark: 'fail', text, remedies, details });
