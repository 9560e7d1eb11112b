import type { Command, Operand } from './command.js';

/** Breaks a text into lines of this width; all but the first are indented. */
export const wrapText = (text: string, width: number, indent: string): string => {
  const lines: string[] = [''];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join(`\n${indent}`);
};

/** `<file...>`, or `[target]` where it is optional. */
export const operandUsage = ({ name, mandatory, variadic }: Operand): string => {
  const word = `${name}${variadic === true ? '...' : ''}`;
  return mandatory === true ? `<${word}>` : `[${word}]`;
};

const longestAligned = 60;

/** Command lines and what they do, in two columns. */
export const examplesText = (examples: Command['examples']): string => {
  const explained = examples.filter(([, effect]) => effect !== undefined).map(([line]) => line.length);
  const width = Math.max(0, ...explained.filter((length) => length <= longestAligned));
  const lines = examples.map(([line, effect]) =>
    effect === undefined ? `  ${line}` : `  ${line.padEnd(width)}    ${effect}`,
  );
  return `Examples:\n${lines.join('\n')}`;
};

/** `Exit status: 0 success, 1 error, 2 invalid command line.` */
export const exitStatusText = (meanings: readonly string[]): string =>
  `Exit status: ${meanings.map((meaning, status) => `${status} ${meaning}`).join(', ')}.`;

const textWidth = 110;

/** The text below the options in the help of a command. */
export const helpFooter = ({ description, examples, requirements, exitStatuses }: Command): string => {
  const paragraphs = (description ?? '').split('\n\n').filter((paragraph) => paragraph !== '');
  const last = [requirements, exitStatusText(exitStatuses)]
    .filter((sentence) => sentence !== undefined)
    .join(' ');
  return [
    '',
    ...paragraphs.flatMap((paragraph) => [wrapText(paragraph, textWidth, ''), '']),
    examplesText(examples),
    '',
    wrapText(last, textWidth, ''),
  ].join('\n');
};
