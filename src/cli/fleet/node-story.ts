import { printableLines } from '../../base/text.js';
import { compareNames, type NodeAnswer } from '../../fleet/node-groups.js';
import { writeTexts } from '../output/standard-output.js';
import { printUnanswered, type Fleet } from './fleet.js';
import { fleetStatusOf } from './fleet-options.js';

/** Prints what the command says on each of the named nodes itself. */
export const printNodeStories = async (fleet: Fleet, command: readonly string[]): Promise<number> => {
  const answers: NodeAnswer<string>[] = [];
  await fleet.ask({ command, parse: (stdout) => stdout }, (answer) => answers.push(answer));
  const stories = answers
    .toSorted((a, b) => compareNames(a.node, b.node))
    .flatMap(({ node, answer }) => (answer === undefined ? [] : [{ node, text: printableLines(answer) }]));
  await writeTexts(
    stories.map(({ node, text }) => (answers.length === 1 ? text : `==> ${node} <==\n${text}\n`)),
  );
  const unanswered = answers.filter(({ reason }) => reason !== undefined);
  printUnanswered(
    unanswered.map(({ node, reason = '' }) => ({ node, reason })),
    answers.length,
  );
  return fleetStatusOf(false, unanswered.length > 0);
};
