import type { Paint } from '../output/columns.js';
import { remedyLines, screenWidth, wrapLines } from '../doctor/doctor-text.js';
import type { Palette } from '../output/palette.js';
import { formatSocketAddress } from '../../base/ip.js';
import { formatCount, printable } from '../../base/text.js';
import type { CheckLine, Mark } from './facts.js';
import type { Section, ServiceReport, Verdict } from './service-report.js';
import type { Trace } from './trace-packet.js';

const signs: Readonly<Record<Mark, string>> = { ok: '✓', note: '·', warn: '!', fail: '✗' };

const paintOf = (mark: Mark, palette: Palette): Paint => {
  if (mark === 'fail') return palette.danger;
  return mark === 'warn' ? palette.warning : (text) => text;
};

/** The sign and the text; below them the details and remedies. */
const lineText = (
  { mark, text, details = [], remedies = [] }: CheckLine,
  palette: Palette,
): readonly string[] => {
  const paint = paintOf(mark, palette);
  const [first = '', ...rest] = wrapLines(text, screenWidth - 4);
  return [
    `  ${paint(signs[mark])} ${paint(first)}`,
    ...rest.map((line) => `    ${paint(line)}`),
    ...details.map((line) => `      ${palette.faint(printable(line))}`),
    ...remedyLines(remedies, screenWidth - 4).map((line) => `    ${line}`),
  ];
};

const sectionText = ({ title, lines }: Section, palette: Palette): readonly string[] => [
  palette.strong(title),
  ...lines.flatMap((line) => lineText(line, palette)),
  '',
];

const endTexts: Readonly<Record<Trace['end'], readonly [Mark, string]>> = {
  answered: ['ok', 'the client gets a reply'],
  refused: ['fail', 'the connection is refused'],
  dropped: ['fail', 'the packet is dropped: the client waits until it times out'],
  nowhere: ['fail', 'the packet does not reach IPVS on this node'],
  node: ['note', 'IPVS does not handle the packet'],
};

const traceTitle = ({ to, from }: Trace): string => {
  const sender = { pod: 'a pod', node: 'this node', outside: 'outside the cluster' }[from.who];
  return `Packet from ${sender} to ${to.protocol} ${formatSocketAddress(to.address, to.port)}`;
};

const traceText = (trace: Trace, palette: Palette): readonly string[] => {
  const [mark, end] = endTexts[trace.end];
  const lost = trace.candidates.length > 0 && trace.candidates.every((candidate) => candidate.lost);
  return [
    palette.strong(traceTitle(trace)),
    ...trace.steps.flatMap((step) => lineText(step, palette)),
    ...lineText(
      lost
        ? { mark: 'warn', text: 'Result: the packet arrives, but the reply may be lost' }
        : { mark, text: `Result: ${end}` },
      palette,
    ),
    '',
  ];
};

const summaryText = ({ mark, errors, warnings }: Verdict): string => {
  if (mark === 'ok') return `${signs.ok} no problems found`;
  const counts = [
    ...(errors > 0 ? [formatCount(errors, 'error')] : []),
    ...(warnings > 0 ? [formatCount(warnings, 'warning')] : []),
  ];
  return `${signs[mark]} ${counts.join(', ')}`;
};

const verdictText = (verdict: Verdict, palette: Palette): readonly string[] => [
  `${palette.strong('Verdict')}: ${paintOf(verdict.mark, palette)(summaryText(verdict))}`,
  ...wrapLines(verdict.text, screenWidth - 2).map((line) => `  ${line}`),
  ...remedyLines(verdict.remedies, screenWidth - 2).map((line) => `  ${line}`),
];

/** The report as text. */
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
