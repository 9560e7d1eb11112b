import { printable } from '../../base/text.js';
import type { StatusResponse } from '../../admin-api/responses.js';
import {
  planSummary,
  planText,
  stepsOf,
  type PlanGroup,
  type PlanStep,
  type PlanStyle,
} from '../../plan/output/plan-text.js';
import type { Palette } from '../output/palette.js';

/** The result of a repair. */
export interface Repair {
  /** The program that repaired. */
  readonly by: 'daemon' | 'diff';
  /** The remaining differences. */
  readonly remaining: readonly PlanGroup[];
  /** Objects that the kernel refused, and why. */
  readonly refused: readonly { readonly what: string; readonly reason: string }[];
}

export interface DiffResult {
  readonly groups: readonly PlanGroup[];
  readonly contested: StatusResponse['contested'];
  /** Undefined: not requested, or nothing to repair. */
  readonly repair?: Repair | undefined;
}

const paintOf = (palette: Palette): PlanStyle => {
  const paints = { add: palette.success, change: palette.warning, remove: palette.danger };
  return { step: (op, line) => paints[op](line), remark: palette.faint };
};

const repairText = ({ by, remaining, refused }: Repair, palette: Palette): string => {
  const who = by === 'daemon' ? 'the daemon' : 'this command';
  if (remaining.length === 0) return `repaired by ${who}: the kernel is in sync now\n`;
  const reasons = refused.map(({ what, reason }) => `${palette.danger(printable(`! ${what}: ${reason}`))}\n`);
  return `NOT repaired: ${who} tried, but these differences remain:\n\n${planText(remaining, paintOf(palette))}${reasons.join('')}`;
};

/** The differences as a plan, and the result of the repair. */
export const diffText = ({ groups, contested, repair }: DiffResult, palette: Palette): string => {
  const notices = contested.map(
    ({ virtualServer, service }) =>
      `${palette.warning(printable(`! another program created ${virtualServer}, which Service ${service} requests; it is not compared`))}\n`,
  );
  const plan =
    groups.length === 0 ? 'no differences: the kernel is in sync\n' : planText(groups, paintOf(palette));
  const done = repair === undefined ? '' : `\n${repairText(repair, palette)}`;
  return `${notices.join('')}${plan}${done}`;
};

const stepJson = (step: PlanStep): object => {
  const { subject: _, ...entry } = step;
  return entry;
};

const operationsJson = (groups: readonly PlanGroup[]): readonly object[] =>
  groups.flatMap(({ name, steps }) => steps.map((step) => ({ group: name, ...stepJson(step) })));

/** The same as JSON. */
export const diffJson = ({ groups, contested, repair }: DiffResult): object => ({
  equal: groups.length === 0,
  summary: planSummary(stepsOf(groups)),
  operations: operationsJson(groups),
  contested,
  ...(repair === undefined
    ? {}
    : {
        repair: {
          by: repair.by,
          repaired: repair.remaining.length === 0,
          left: operationsJson(repair.remaining),
          refused: repair.refused,
        },
      }),
});
