import { agreementText } from '../../fleet/node-groups.js';
import { tableDifferences, tableLines, type DumpAnswer } from '../../fleet/table-groups.js';
import { paletteFor, type ColorMode } from '../output/palette.js';
import { writeTexts } from '../output/standard-output.js';
import { Fleet, jsonAnswer, printUnanswered, printWithoutPod, type Question } from './fleet.js';
import { fleetStatusOf, type FleetOptions } from './fleet-options.js';
import { blockText, differenceText, groupAnswers, nodesText, type GroupedAnswers } from './group-answers.js';
import { printNodeStories } from './node-story.js';

export interface FleetDumpOptions extends FleetOptions {
  readonly target: string | undefined;
  readonly output: 'text' | 'wide' | 'json';
  readonly color: ColorMode;
}

function* dumpTexts({ groups }: GroupedAnswers, { output, color }: FleetDumpOptions): Iterable<string> {
  const palette = paletteFor(process.stdout, process.env, color);
  const [most, ...others] = groups;
  if (most === undefined) return;
  const differing = others.reduce((sum, { nodes }) => sum + nodes.length, 0);
  yield `${agreementText(most.nodes.length, differing)}\n\n`;
  const lines = most.content.length === 0 ? ['no virtual servers'] : most.content;
  yield blockText(nodesText(most.nodes, output === 'wide'), lines, palette.strong);
  for (const { nodes, content } of others) {
    const changes = tableDifferences(most.content, content).map(({ sign, line }) => `${sign} ${line}`);
    yield `\n${differenceText({ nodes, content: changes }, output === 'wide', palette)}`;
  }
}

function* dumpJson({ groups, unanswered }: GroupedAnswers): Iterable<string> {
  const list = groups.map(({ nodes, content }) => ({ nodes, table: content }));
  yield `${JSON.stringify({ version: 1, groups: list, unanswered }, undefined, 2)}\n`;
}

/** Prints the IPVS tables of all nodes: that of most nodes, and how the others differ. */
export const fleetDump = async (options: FleetDumpOptions): Promise<number> => {
  const { target, output, node } = options;
  const words = target === undefined ? [] : [target];
  using fleet = await Fleet.find(options);
  if (node.length > 0 && output === 'text') return printNodeStories(fleet, ['dump', ...words]);
  const question: Question<DumpAnswer> = {
    command: ['dump', '-o', 'json', ...words],
    parse: jsonAnswer<DumpAnswer>('virtualServers'),
    // A node that does not know the target has nothing of it.
    parseRefusal: (stderr) =>
      target !== undefined && stderr.includes(' not found') ? { virtualServers: {} } : undefined,
  };
  const answers = await groupAnswers(fleet, question, tableLines);
  await writeTexts(output === 'json' ? dumpJson(answers) : dumpTexts(answers, options));
  printUnanswered(answers.unanswered, answers.asked);
  printWithoutPod(fleet);
  return fleetStatusOf(answers.groups.length > 1, answers.unanswered.length > 0);
};
