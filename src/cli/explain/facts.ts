import type { Family, IpAddress } from '../../base/ip.js';
import type { CheckReport } from '../../doctor/all-checks.js';
import type { Fact } from '../../doctor/check-result.js';
import type { RuleEnvironment } from '../../nftables/rule-interpreter.js';
import type {
  ServedVirtualServerResponse,
  ServiceReportResponse,
  StatusResponse,
} from '../../admin-api/responses.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';

/** What the kernel itself has, read just now. */
export interface KernelFacts {
  /** By the keys of virtual servers: those that the story is about. */
  readonly virtualServers: ReadonlyMap<string, ObservedVirtualServer>;
  /** On kube-ipvs0, and on every interface. */
  readonly dummyAddresses: ReadonlySet<IpAddress>;
  readonly addresses: ReadonlySet<IpAddress>;
  /** Our packet rules; a family without them is absent. */
  readonly rules: Readonly<Partial<Record<Family, RuleEnvironment>>>;
}

/** All that a story is made of. */
export interface ReportFacts {
  /** As the user wrote it. */
  readonly target: string;
  /** What the daemon tells of the Service; undefined: no Service asks for the target, or no daemon runs. */
  readonly service: ServiceReportResponse | undefined;
  /** The virtual servers of the Service that the target means. */
  readonly served: readonly ServedVirtualServerResponse[];
  /** The pod that was asked for, as `namespace/name`. */
  readonly pod: string | undefined;
  readonly kernel: Fact<KernelFacts>;
  /** Checks of the doctor that bear on packets. */
  readonly node: readonly CheckReport[];
  readonly status: Fact<StatusResponse>;
}

/** `ok`: as it should be; `note`: only told; `warn`: works, but look at it; `fail`: does not work. */
export type Mark = 'ok' | 'note' | 'warn' | 'fail';

export interface CheckLine {
  readonly mark: Mark;
  readonly text: string;
  /** Lines under it, as they are. */
  readonly details?: readonly string[];
  /** What to do about it: a sentence or a command. */
  readonly next?: string;
}

export const sectionTitles = {
  service: 'What the API says',
  endpoints: 'Endpoints',
  kernel: 'In the kernel',
  'packet-rules': 'Packet rules',
  node: 'This node',
  daemon: 'The daemon',
} as const;

export type SectionId = keyof typeof sectionTitles;

/** One thing to judge of a target. Pure: everything it knows is in the facts. */
export interface ReportCheck {
  readonly id: string;
  /** What it looks at, for the documentation. */
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
export const warn = (text: string, next: string, details: readonly string[] = []): CheckLine => ({
  mark: 'warn',
  text,
  next,
  details,
});
export const fail = (text: string, next: string, details: readonly string[] = []): CheckLine => ({
  mark: 'fail',
  text,
  next,
  details,
});
