import type { Family, IpAddress } from '../../base/ip.js';
import type { Outcome } from '../../doctor/checks.js';
import type { Look } from '../../doctor/finding.js';
import type { RuleSource } from '../../model/packet-walk.js';
import type { ServedAnswer, ServiceStoryAnswer, StatusAnswer } from '../../plan/admin-answers.js';
import type { ObservedTable } from '../kernel-table.js';

/** What the kernel itself has, read just now. */
export interface KernelLook {
  /** By the keys of virtual servers: those that the story is about. */
  readonly tables: ReadonlyMap<string, ObservedTable>;
  /** On kube-ipvs0, and on every interface. */
  readonly dummyAddresses: ReadonlySet<IpAddress>;
  readonly addresses: ReadonlySet<IpAddress>;
  /** Our packet rules; a family without them is absent. */
  readonly rules: Readonly<Partial<Record<Family, RuleSource>>>;
}

/** All that a story is made of. */
export interface StoryFacts {
  /** As the user wrote it. */
  readonly target: string;
  /** What the daemon tells of the Service; undefined: no Service asks for the target, or no daemon runs. */
  readonly service: ServiceStoryAnswer | undefined;
  /** The virtual servers of the Service that the target means. */
  readonly served: readonly ServedAnswer[];
  /** The pod that was asked for, as `namespace/name`. */
  readonly pod: string | undefined;
  readonly kernel: Look<KernelLook>;
  /** Checks of the doctor that bear on packets. */
  readonly node: readonly Outcome[];
  readonly status: Look<StatusAnswer>;
}

/** `ok`: as it should be; `note`: only told; `warn`: works, but look at it; `fail`: does not work. */
export type Mark = 'ok' | 'note' | 'warn' | 'fail';

export interface Line {
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
export interface Judgement {
  readonly id: string;
  /** What it looks at, for the documentation. */
  readonly title: string;
  readonly look: (facts: StoryFacts) => readonly Line[];
}

export const ok = (text: string, details: readonly string[] = []): Line => ({ mark: 'ok', text, details });
export const note = (text: string, details: readonly string[] = []): Line => ({
  mark: 'note',
  text,
  details,
});
export const warn = (text: string, next: string, details: readonly string[] = []): Line => ({
  mark: 'warn',
  text,
  next,
  details,
});
export const fail = (text: string, next: string, details: readonly string[] = []): Line => ({
  mark: 'fail',
  text,
  next,
  details,
});
