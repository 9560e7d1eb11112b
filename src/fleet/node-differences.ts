import { formatEntry, type PlanEntry } from '../model/plan-entry.js';

/** What is used of `diff -o json`. */
export interface DiffAnswer {
  readonly operations: readonly (PlanEntry & { readonly reason?: string })[];
  readonly contested: readonly { readonly virtualServer: string; readonly service: string }[];
}

/** Each difference of a node as a line, as `diff` prints it. */
export const differenceLines = ({ operations, contested }: DiffAnswer): readonly string[] => [
  ...operations.map(({ reason, ...entry }) =>
    reason === undefined ? formatEntry(entry) : `${formatEntry(entry)}  # ${reason}`,
  ),
  ...contested.map(
    ({ virtualServer, service }) =>
      `! another program created ${virtualServer}, which Service ${service} requests`,
  ),
];
