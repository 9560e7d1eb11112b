import type { Facts } from './facts.js';
import type { CheckResult } from './check-result.js';

/** In the order of the report. */
export const groups = [
  'kernel',
  'ipvs',
  'settings',
  'conntrack',
  'packet-rules',
  'addresses',
  'conflicts',
  'kubernetes',
  'process',
] as const;

/** Groups of `migrate check` only, which come first. */
export const migrationGroups = ['kube-proxy', 'changes', 'dependencies'] as const;

export type Group = (typeof groups)[number] | (typeof migrationGroups)[number];

/** Checks one aspect of the node. Pure: it reads the facts and nothing else. */
export interface Check {
  readonly id: string;
  readonly group: Group;
  /** What it checks: a noun phrase. */
  readonly title: string;
  /** Why it matters: a sentence. */
  readonly why: string;
  readonly run: (facts: Facts) => CheckResult;
}

/** The checks of one group. */
export const checksInGroup = (group: Group, checks: readonly Omit<Check, 'group'>[]): readonly Check[] =>
  checks.map((check) => ({ ...check, group }));
