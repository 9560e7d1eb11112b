import { formatCount } from '../../base/text.js';
import { groups } from '../../doctor/check.js';
import { printable } from '../../base/text.js';
import type { CheckReport } from '../../doctor/all-checks.js';
import { onNode, type CheckStatus } from '../../doctor/check-result.js';

/** A sign and the word, so that neither colour nor Unicode is needed to tell them apart. */
const statusMarks: Readonly<Record<CheckStatus, string>> = {
  pass: '✓ pass',
  warn: '! warn',
  fail: '✗ fail',
  unknown: '? unknown',
};

export const screenWidth = 80;
const markWidth = 11;
const indent = ' '.repeat(2 + markWidth);

/** Lines that fit behind the indentation; a word that is longer stays whole. */
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

/** A command stays in one line, to be copied. */
const isCommand = (text: string): boolean =>
  text.startsWith(onNode('')) ||
  /^(kube-ipvs|sysctl|modprobe|nft|ip|ip6?tables(-nft|-legacy)?|kubectl|echo|curl|helm|chronyc|ulimit|nsenter|ipvsadm|deploy\/\S+) \S/.test(
    text,
  );

/** The steps of a remedy, an arrow each, in lines of this width. */
export const remedyLines = (remedy: string, width: number): readonly string[] =>
  remedy === ''
    ? []
    : remedy
        .split('; ')
        .flatMap((step) =>
          isCommand(step)
            ? [`→ ${printable(step)}`]
            : wrapLines(step, width - 2).map((line, index) => (index === 0 ? `→ ${line}` : `  ${line}`)),
        );

const reportLines = ({ id, result, seen, why, remedy }: CheckReport): readonly string[] => {
  const width = screenWidth - indent.length;
  const [first = '', ...rest] = wrapLines(`${id}: ${seen}`, width);
  return [
    `  ${statusMarks[result].padEnd(markWidth)}${first}`,
    ...[
      ...rest,
      ...(result === 'warn' || result === 'fail' ? wrapLines(why, width) : []),
      ...remedyLines(remedy, width),
    ].map((line) => indent + line),
  ];
};

export type Summary = Readonly<Record<CheckStatus, number>>;

export const summarize = (outcomes: readonly CheckReport[]): Summary => {
  const number = (result: CheckStatus): number =>
    outcomes.filter((outcome) => outcome.result === result).length;
  return { pass: number('pass'), warn: number('warn'), fail: number('fail'), unknown: number('unknown') };
};

/** The checks by group; what is not pass with why it matters and what to do. `quiet` leaves out what is pass. */
export const doctorText = (outcomes: readonly CheckReport[], quiet: boolean): string => {
  const { pass, warn, fail, unknown } = summarize(outcomes);
  const shown = quiet ? outcomes.filter(({ result }) => result !== 'pass') : outcomes;
  const parts = groups
    .map((group) => ({ group, members: shown.filter((outcome) => outcome.group === group) }))
    .filter(({ members }) => members.length > 0)
    .map(({ group, members }) => [group, ...members.flatMap(reportLines), ''].join('\n'));
  const summary = `${formatCount(outcomes.length, 'check')}: ${pass} pass, ${warn} warn, ${fail} fail, ${unknown} unknown`;
  return [...parts, summary, ''].join('\n');
};
