import { NodeGroups, type NodeGroup } from '../../fleet/node-groups.js';
import { formatCount, printable } from '../../base/text.js';
import { abbreviatedList } from '../../doctor/check-result.js';
import type { Palette } from '../output/palette.js';
import type { Fleet } from './fleet.js';

/** Nodes that printed the same lines, and those that did not answer. */
export interface GroupedAnswers {
  readonly groups: readonly NodeGroup<readonly string[]>[];
  readonly unanswered: readonly { readonly node: string; readonly reason: string }[];
  readonly asked: number;
}

/** Runs a command on all nodes, and groups those with the same lines. `onRefusal`: lines for an error message that is an answer. */
export const groupAnswers = async <Answer>(
  fleet: Fleet,
  command: readonly string[],
  parse: (stdout: string) => Answer,
  linesOf: (answer: Answer) => readonly string[],
  onRefusal: (reason: string) => readonly string[] | undefined = () => undefined,
): Promise<GroupedAnswers> => {
  const groups = new NodeGroups<readonly string[]>();
  const unanswered: { readonly node: string; readonly reason: string }[] = [];
  let asked = 0;
  await fleet.ask(command, parse, (one) => {
    asked += 1;
    const lines = one.reason === undefined ? linesOf(one.answer) : onRefusal(one.reason);
    if (lines !== undefined) groups.add(one.node, lines.join('\n'), () => lines);
    else unanswered.push({ node: one.node, reason: one.reason ?? '' });
  });
  return { groups: groups.all(), unanswered, asked };
};

/** `3 nodes: node-3, node-17, node-301`, or all names. */
export const nodesText = (nodes: readonly string[], isWide: boolean): string =>
  `${formatCount(nodes.length, 'node')}: ${isWide ? nodes.join(', ') : abbreviatedList(nodes)}`;

/** A head line, and indented lines below it. */
export const blockText = (head: string, lines: readonly string[], paint: Palette['danger']): string =>
  `${paint(printable(head))}\n${lines.map((line) => `  ${printable(line)}\n`).join('')}`;
