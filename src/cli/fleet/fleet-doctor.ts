import { formatCount, printable } from '../../base/text.js';
import { DoctorFindings, type CheckFinding, type NodeCheck } from '../../fleet/doctor-findings.js';
import { paletteFor, type ColorMode, type Palette } from '../output/palette.js';
import { writeText } from '../output/standard-output.js';
import { Fleet, jsonAnswer, printUnanswered, printWithoutPod } from './fleet.js';
import { fleetStatusOf, type FleetOptions } from './fleet-options.js';
import { nodesText } from './group-answers.js';
import { printNodeStories } from './node-story.js';

export interface FleetDoctorOptions extends FleetOptions {
  /** Ids and groups of checks; none: all. */
  readonly only: readonly string[];
  readonly strict: boolean;
  readonly output: 'text' | 'wide' | 'json';
  readonly color: ColorMode;
}

interface DoctorAnswer {
  readonly checks: readonly NodeCheck[];
}

/** At most this many different texts of one check are shown without -o wide. */
const maximumSeen = 3;

const findingText = (
  { id, result, nodes, seen, remedy }: CheckFinding,
  isWide: boolean,
  palette: Palette,
) => {
  const paint = result === 'fail' ? palette.danger : palette.warning;
  const shown = isWide ? seen : seen.slice(0, maximumSeen);
  const lines = shown.map(({ nodes: some, content }) =>
    seen.length === 1 ? `  ${content}` : `  ${content} (${formatCount(some.length, 'node')})`,
  );
  const hidden = seen.length - shown.length;
  return [
    paint(printable(`${result} ${id}: ${nodesText(nodes, isWide)}`)),
    ...lines.map(printable),
    ...(hidden === 0 ? [] : [`  and ${hidden} more`]),
    ...(remedy === '' ? [] : [`  → ${printable(remedy)}`]),
  ].join('\n');
};

const doctorText = (
  findings: readonly CheckFinding[],
  answered: number,
  { output, color }: FleetDoctorOptions,
): string => {
  const palette = paletteFor(process.stdout, process.env, color);
  if (findings.length === 0) return `${formatCount(answered, 'node')}: every check passes\n`;
  const blocks = findings.map((finding) => findingText(finding, output === 'wide', palette));
  const count = (result: NodeCheck['result']): number =>
    findings.filter((finding) => finding.result === result).length;
  return `${blocks.join('\n\n')}\n\n${formatCount(answered, 'node')}: ${count('fail')} checks fail, ${count('warn')} warn, ${count('unknown')} unknown\n`;
};

const doctorJson = (findings: readonly CheckFinding[], unanswered: readonly object[]): string =>
  `${JSON.stringify(
    {
      version: 1,
      findings: findings.map(({ seen, ...finding }) => ({
        ...finding,
        seen: seen.map(({ nodes, content }) => ({ nodes, text: content })),
      })),
      unanswered,
    },
    undefined,
    2,
  )}\n`;

/** Runs the checks on all nodes, and prints what does not pass, by check. */
export const fleetDoctor = async (options: FleetDoctorOptions): Promise<number> => {
  const { only, strict, output, node } = options;
  const words = only.flatMap((list) => ['--only', list]);
  using fleet = await Fleet.find(options);
  if (node.length > 0 && output === 'text') return printNodeStories(fleet, ['doctor', ...words]);
  const findings = new DoctorFindings();
  const unanswered: { readonly node: string; readonly reason: string }[] = [];
  let answered = 0;
  const question = {
    command: ['doctor', '-o', 'json', '--quiet', ...words],
    parse: jsonAnswer<DoctorAnswer>('checks'),
  };
  await fleet.ask(question, (one) => {
    if (one.answer === undefined) return void unanswered.push({ node: one.node, reason: one.reason });
    answered += 1;
    findings.add(one.node, one.answer.checks);
  });
  const found = findings.all();
  await writeText(output === 'json' ? doctorJson(found, unanswered) : doctorText(found, answered, options));
  printUnanswered(unanswered, answered + unanswered.length);
  printWithoutPod(fleet);
  return fleetStatusOf(
    found.some(({ result }) => result === 'fail' || (strict && result === 'warn')),
    unanswered.length > 0,
  );
};
