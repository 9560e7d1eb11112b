import { printableLines } from '../../base/text.js';
import { compareNames, type NodeAnswer } from '../../fleet/node-groups.js';
import { writeTexts } from '../output/standard-output.js';
import { printUnanswered, type Fleet } from './fleet.js';
import { fleetStatusOf } from './fleet-options.js';

/** What a command printed on a node, and how it ended. */
interface Story {
  readonly text: string;
  readonly exitCode: number;
}

/** Prints what the command says on each of the named nodes itself. */
export const printNodeStories = async (fleet: Fleet, command: readonly string[]): Promise<number> => {
  const answers: NodeAnswer<Story>[] = [];
  await fleet.ask({ command, parse: (text, exitCode) => ({ text, exitCode }) }, (answer) =>
    answers.push(answer),
  );
  const stories = answers
    .toSorted((a, b) => compareNames(a.node, b.node))
    .flatMap(({ node, answer }) =>
      answer === undefined ? [] : [{ node, text: printableLines(answer.text) }],
    );
  await writeTexts(
    stories.map(({ node, text }) => (answers.length === 1 ? text : `==> ${node} <==\n${text}\n`)),
  );
  const unanswered = answers.filter(({ reason }) => reason !== undefined);
  printUnanswered(
    unanswered.map(({ node, reason = '' }) => ({ node, reason })),
    answers.length,
  );
  return fleetStatusOf(
    answers.some(({ answer }) => answer !== undefined && answer.exitCode !== 0),
    unanswered.length > 0,
  );
};
