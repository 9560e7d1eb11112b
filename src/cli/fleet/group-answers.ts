import { NodeGroups, type NodeGroup } from '../../fleet/node-groups.js';
import { formatCount, printable } from '../../base/text.js';
import { abbreviatedList } from '../../doctor/check-result.js';
import type { Palette } from '../output/palette.js';
import type { Fleet, Question } from './fleet.js';

/** Nodes that printed the same lines, and those that did not answer. */
export interface GroupedAnswers {
  readonly groups: readonly NodeGroup<readonly string[]>[];
  readonly unanswered: readonly { readonly node: string; readonly reason: string }[];
  readonly asked: number;
}

/** Runs a command on all nodes, and groups those with the same lines. */
export const groupAnswers = async <Answer>(
  fleet: Fleet,
  question: Question<Answer>,
  linesOf: (answer: Answer) => readonly string[],
): Promise<GroupedAnswers> => {
  const groups = new NodeGroups<readonly string[]>();
  const unanswered: { readonly node: string; readonly reason: string }[] = [];
  let asked = 0;
  await fleet.ask(question, ({ node, answer, reason }) => {
    asked += 1;
    if (reason !== undefined) return void unanswered.push({ node, reason });
    const lines = linesOf(answer);
    groups.add(node, lines.join('\n'), () => lines);
  });
  return { groups: groups.all(), unanswered, asked };
};

/** `3 nodes: node-3, node-17, node-301`, or all names. */
export const nodesText = (nodes: readonly string[], isWide: boolean): string =>
  `${formatCount(nodes.length, 'node')}: ${isWide ? nodes.join(', ') : abbreviatedList(nodes)}`;

/** At most this many lines of a group are shown without -o wide. */
const maximumLines = 20;

/** A head line, and indented lines below it. */
export const blockText = (head: string, lines: readonly string[], paint: Palette['danger']): string =>
  `${paint(printable(head))}\n${lines.map((line) => `  ${printable(line)}\n`).join('')}`;

/** A group of nodes that differ from the others, and in what. */
export const differenceText = (
  { nodes, content }: NodeGroup<readonly string[]>,
  isWide: boolean,
  { danger }: Palette,
): string => {
  const shown = isWide ? content : content.slice(0, maximumLines);
  const hidden = content.length - shown.length;
  const more = hidden === 0 ? [] : [`and ${hidden} more (-o wide shows all)`];
  return blockText(nodesText(nodes, isWide), [...shown, ...more], danger);
};
