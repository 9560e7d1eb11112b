import { formatCount } from '../../base/text.js';
import { differenceLines, type DiffAnswer } from '../../fleet/node-differences.js';
import { paletteFor, type ColorMode } from '../output/palette.js';
import { writeText } from '../output/standard-output.js';
import { Fleet, jsonAnswer, printUnanswered, printWithoutPod } from './fleet.js';
import { fleetStatusOf, type FleetOptions } from './fleet-options.js';
import { differenceText, groupAnswers, type GroupedAnswers } from './group-answers.js';
import { printNodeStories } from './node-story.js';

export interface FleetDiffOptions extends FleetOptions {
  readonly targets: readonly string[];
  readonly output: 'text' | 'wide' | 'json';
  readonly color: ColorMode;
}

const diffText = ({ groups, asked }: GroupedAnswers, { output, color }: FleetDiffOptions): string => {
  const palette = paletteFor(process.stdout, process.env, color);
  const equal = groups.find(({ content }) => content.length === 0)?.nodes.length ?? 0;
  const blocks = groups
    .filter(({ content }) => content.length > 0)
    .map((group) => differenceText(group, output === 'wide', palette));
  return [`${equal} of ${formatCount(asked, 'node')}: the kernel is in sync\n`, ...blocks].join('\n');
};

const diffJson = ({ groups, unanswered }: GroupedAnswers): string =>
  `${JSON.stringify(
    {
      version: 1,
      groups: groups.map(({ nodes, content }) => ({ nodes, differences: content })),
      unanswered,
    },
    undefined,
    2,
  )}\n`;

/** Prints where the kernels of nodes differ from their desired state. */
export const fleetDiff = async (options: FleetDiffOptions): Promise<number> => {
  const { targets, output, node } = options;
  using fleet = await Fleet.find(options);
  if (node.length > 0 && output === 'text') return printNodeStories(fleet, ['diff', ...targets]);
  const question = {
    command: ['diff', '-o', 'json', ...targets],
    parse: jsonAnswer<DiffAnswer>('operations'),
  };
  const answers = await groupAnswers(fleet, question, differenceLines);
  await writeText(output === 'json' ? diffJson(answers) : diffText(answers, options));
  printUnanswered(answers.unanswered, answers.asked);
  printWithoutPod(fleet);
  return fleetStatusOf(
    answers.groups.some(({ content }) => content.length > 0),
    answers.unanswered.length > 0,
  );
};
