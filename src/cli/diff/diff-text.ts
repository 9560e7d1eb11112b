import { printable } from '../../base/text.js';
import type { StatusResponse } from '../../admin-api/responses.js';
import {
  planSummary,
  planText,
  stepsOf,
  type PlanGroup,
  type PlanStyle,
} from '../../plan/output/plan-text.js';
import type { Palette } from '../output/palette.js';

/** What was done about the differences. */
export interface Repair {
  /** Who has done it. */
  readonly by: 'daemon' | 'diff';
  /** What still differs. */
  readonly remaining: readonly PlanGroup[];
  /** What the kernel refused, and why. */
  readonly refused: readonly { readonly what: string; readonly reason: string }[];
}

export interface DiffResult {
  readonly groups: readonly PlanGroup[];
  readonly contested: StatusResponse['contested'];
  /** Undefined: none was asked for, or there was nothing to repair. */
  readonly repair?: Repair | undefined;
}

const paintOf = (palette: Palette): PlanStyle => {
  const paints = { add: palette.success, change: palette.warning, remove: palette.danger };
  return { step: (op, line) => paints[op](line), remark: palette.faint };
};

const repairText = ({ by, remaining, refused }: Repair, palette: Palette): string => {
  const who = by === 'daemon' ? 'the daemon was asked to' : 'this command has tried to';
  if (remaining.length === 0) return `repaired: ${who}, and the kernel is as wanted now\n`;
  const reasons = refused.map(({ what, reason }) => `${palette.danger(printable(`! ${what}: ${reason}`))}\n`);
  return `NOT repaired: ${who}, and this still differs:\n\n${planText(remaining, paintOf(palette))}${reasons.join('')}`;
};

/** The differences for people: as a plan, with what was done about them. */
export const diffText = ({ groups, contested, repair }: DiffResult, palette: Palette): string => {
  const notices = contested.map(
    ({ virtualServer, service }) =>
      `${palette.warning(printable(`! ${virtualServer}, which ${service} asks for, is somebody else's and left alone`))}\n`,
  );
  const plan =
    groups.length === 0 ? 'no difference: the kernel is as wanted\n' : planText(groups, paintOf(palette));
  const done = repair === undefined ? '' : `\n${repairText(repair, palette)}`;
  return `${notices.join('')}${plan}${done}`;
};

const operationsJson = (groups: readonly PlanGroup[]): readonly object[] =>
  groups.flatMap(({ name, steps }) => steps.map((step) => ({ group: name, ...step })));

/** The same for programs. */
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
