import type { Paint } from '../output/columns.js';
import { remedyLines, screenWidth, wrapLines } from '../doctor/doctor-text.js';
import type { Palette } from '../output/palette.js';
import { formatSocketAddress } from '../../base/ip.js';
import { printable } from '../../base/text.js';
import type { CheckLine, Mark } from './facts.js';
import type { Section, ServiceReport, Verdict } from './service-report.js';
import type { Trace } from './trace-packet.js';

const signs: Readonly<Record<Mark, string>> = { ok: '✓', note: '·', warn: '!', fail: '✗' };

const paintOf = (mark: Mark, palette: Palette): Paint => {
  if (mark === 'fail') return palette.danger;
  return mark === 'warn' ? palette.warning : (text) => text;
};

/** A sign, the text beside it, and what belongs to it under it. */
const lineText = (
  { mark, text, details = [], next = '' }: CheckLine,
  palette: Palette,
): readonly string[] => {
  const paint = paintOf(mark, palette);
  const [first = '', ...rest] = wrapLines(text, screenWidth - 4);
  return [
    `  ${paint(signs[mark])} ${paint(first)}`,
    ...rest.map((line) => `    ${paint(line)}`),
    ...details.map((line) => `      ${palette.faint(printable(line))}`),
    ...remedyLines(next, screenWidth - 4).map((line) => `    ${line}`),
  ];
};

const sectionText = ({ title, lines }: Section, palette: Palette): readonly string[] => [
  palette.strong(title),
  ...lines.flatMap((line) => lineText(line, palette)),
  '',
];

const endTexts: Readonly<Record<Trace['end'], readonly [Mark, string]>> = {
  answered: ['ok', 'it is answered'],
  refused: ['fail', 'it is refused'],
  dropped: ['fail', 'it is dropped: the asker waits until it gives up'],
  nowhere: ['fail', 'it does not reach IPVS on this node'],
  node: ['note', 'IPVS has no part in it'],
};

const traceTitle = ({ to, from }: Trace): string => {
  const whom = { pod: 'a pod', node: 'the node itself', outside: 'outside' }[from.who];
  return `A packet from ${whom} to ${to.protocol} ${formatSocketAddress(to.address, to.port)}`;
};

const traceText = (trace: Trace, palette: Palette): readonly string[] => {
  const [mark, end] = endTexts[trace.end];
  const lost = trace.candidates.length > 0 && trace.candidates.every((candidate) => candidate.lost);
  return [
    palette.strong(traceTitle(trace)),
    ...trace.steps.flatMap((step) => lineText(step, palette)),
    ...lineText(
      lost ? { mark: 'warn', text: 'it arrives, but the answer may be lost' } : { mark, text: `so ${end}` },
      palette,
    ),
    '',
  ];
};

const verdictWords: Readonly<Record<Verdict['mark'], string>> = {
  ok: '✓ all is well',
  warn: '! look at it',
  fail: '✗ something is wrong',
};

const verdictText = ({ mark, text, next = '' }: Verdict, palette: Palette): readonly string[] => [
  `${palette.strong('Verdict')}: ${paintOf(mark, palette)(verdictWords[mark])}`,
  ...wrapLines(text, screenWidth - 2).map((line) => `  ${line}`),
  ...remedyLines(next, screenWidth - 2).map((line) => `  ${line}`),
];

/** A story for people. */
export const serviceReportText = (
  { subject, sections, traces, verdict }: ServiceReport,
  palette: Palette,
): string =>
  [
    palette.strong(printable(subject)),
    '',
    ...sections.flatMap((section) => sectionText(section, palette)),
    ...traces.flatMap((trace) => traceText(trace, palette)),
    ...verdictText(verdict, palette),
    '',
  ].join('\n');
