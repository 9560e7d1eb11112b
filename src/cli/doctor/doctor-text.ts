import { groups, migrationGroups } from '../../doctor/check.js';
import { formatCount, printable } from '../../base/text.js';
import type { CheckReport } from '../../doctor/all-checks.js';
import type { CheckStatus } from '../../doctor/check-result.js';
import type { Remedy } from '../../doctor/remedy.js';

/** A sign and a word: readable without colour and without Unicode. */
const statusMarks: Readonly<Record<CheckStatus, string>> = {
  pass: '✓ pass',
  warn: '! warn',
  fail: '✗ fail',
  unknown: '? unknown',
};

export const screenWidth = 80;
const markWidth = 11;
const indent = ' '.repeat(2 + markWidth);

/** Breaks a text into lines of this width; a longer word stays whole. */
export const wrapLines = (text: string, width: number): readonly string[] => {
  const lines: string[] = [];
  for (const word of printable(text).split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
};

/** An arrow and the advice, below it the command. A command is not wrapped: it can be copied. */
export const remedyLines = (remedies: readonly Remedy[], width: number): readonly string[] =>
  remedies.flatMap(({ advice, command }) => [
    ...wrapLines(advice, width - 2).map((line, index) => (index === 0 ? `→ ${line}` : `  ${line}`)),
    ...(command === undefined ? [] : [`    ${printable(command)}`]),
  ]);

const reportLines = ({ id, result, seen, why, remedies }: CheckReport): readonly string[] => {
  const width = screenWidth - indent.length;
  const [first = '', ...rest] = wrapLines(`${id}: ${seen}`, width);
  return [
    `  ${statusMarks[result].padEnd(markWidth)}${first}`,
    ...[
      ...rest,
      ...(result === 'warn' || result === 'fail' ? wrapLines(why, width) : []),
      ...remedyLines(remedies, width),
    ].map((line) => indent + line),
  ];
};

export type Summary = Readonly<Record<CheckStatus, number>>;

export const summarize = (reports: readonly CheckReport[]): Summary => {
  const number = (result: CheckStatus): number => reports.filter((report) => report.result === result).length;
  return { pass: number('pass'), warn: number('warn'), fail: number('fail'), unknown: number('unknown') };
};

/** The checks by group; warnings and failures with why they matter and what to do. `quiet` leaves out checks that pass. */
export const doctorText = (reports: readonly CheckReport[], quiet: boolean): string => {
  const { pass, warn, fail, unknown } = summarize(reports);
  const shown = quiet ? reports.filter(({ result }) => result !== 'pass') : reports;
  const parts = [...migrationGroups, ...groups]
    .map((group) => ({ group, members: shown.filter((report) => report.group === group) }))
    .filter(({ members }) => members.length > 0)
    .map(({ group, members }) => [group, ...members.flatMap(reportLines), ''].join('\n'));
  const summary = `${formatCount(reports.length, 'check')}: ${pass} pass, ${warn} warn, ${fail} fail, ${unknown} unknown`;
  return [...parts, summary, ''].join('\n');
};
