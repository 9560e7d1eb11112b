import type { Command, Operand } from './command.js';

/** `<file...>`, or `[target]` where it may be left out. */
export const operandWords = ({ name, mandatory, many }: Operand): string => {
  const word = `${name}${many === true ? '...' : ''}`;
  return mandatory === true ? `<${word}>` : `[${word}]`;
};

const longestAligned = 46;

const examplesText = (examples: Command['examples']): string => {
  const width = Math.max(
    0,
    ...examples.filter(([, effect]) => effect !== undefined).map(([line]) => line.length),
  );
  const lines = examples.map(([line, effect]) =>
    effect === undefined ? `  ${line}` : `  ${line.padEnd(Math.min(width, longestAligned))}    ${effect}`,
  );
  return `Examples:\n${lines.join('\n')}`;
};

/** `Exit status: 0 done, 1 an error, 2 called wrongly.` */
export const exitStatusText = (meanings: readonly string[]): string =>
  `Exit status: ${meanings.map((meaning, status) => `${status} ${meaning}`).join(', ')}.`;

/** What stands below the options in a command's --help. */
export const afterHelp = ({ about, examples, needs, exitStatuses }: Command): string => {
  const last = [needs, exitStatusText(exitStatuses)].filter((sentence) => sentence !== undefined).join(' ');
  return ['', ...(about === undefined ? [] : [about, '']), examplesText(examples), '', last].join('\n');
};
