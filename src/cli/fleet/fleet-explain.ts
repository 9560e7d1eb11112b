import { sleep } from '../../base/async.js';
import { InputError } from '../../base/errors.js';
import { printable } from '../../base/text.js';
import { abbreviatedList } from '../../doctor/check-result.js';
import { agreementText } from '../../fleet/node-groups.js';
import type { ServiceAnswer } from '../../fleet/service-answer.js';
import {
  ServiceComparer,
  type BackendSummary,
  type FrontendSummary,
  type ServiceComparison,
} from '../../fleet/service-comparison.js';
import { UsageError } from '../../config/parse-flags.js';
import { ApiError } from '../../watch/api/api-client.js';
import { formatColumns, type Column } from '../output/columns.js';
import { paletteFor, type ColorMode, type Palette } from '../output/palette.js';
import { writeText } from '../output/standard-output.js';
import { Fleet, jsonAnswer, printUnanswered, printWithoutPod, type Question } from './fleet.js';
import { differenceText } from './group-answers.js';
import { fleetStatusOf, type FleetOptions } from './fleet-options.js';
import { printNodeStories } from './node-story.js';

export interface FleetExplainOptions extends FleetOptions {
  /** `namespace/name`. */
  readonly target: string;
  /** As the program is called, for hints. */
  readonly program: string;
  readonly output: 'text' | 'wide' | 'json';
  readonly color: ColorMode;
}

/** Nodes take a moment to follow a change: only a difference that persists for this time counts. */
const confirmationMilliseconds = 1_000;

/** At most this many real servers are listed without -o wide. */
const maximumBackends = 20;

interface ExplainDocument {
  readonly stories: readonly ServiceAnswer[];
}

const parseAnswer = (stdout: string): ServiceAnswer => {
  const [story] = jsonAnswer<ExplainDocument>('stories')(stdout).stories;
  if (story === undefined) throw new InputError('kube-ipvs explain printed no report');
  return story;
};

const notServed: ServiceAnswer = { subject: '', verdict: { mark: 'fail', text: '' } };

/** A daemon that does not know the Service prints no report, which is an answer too. */
const isUnknownService = (stderr: string, target: string): boolean =>
  stderr.includes(`target "${target}" not found`) || stderr.includes(`there is no Service ${target} `);

const parseTarget = (target: string): readonly [namespace: string, name: string] => {
  const [, namespace, name] = /^([^/:\s]+)\/([^/:\s]+)$/.exec(target) ?? [];
  if (namespace === undefined || name === undefined)
    throw new UsageError(
      `"${target}" is not a valid Service (expected NAMESPACE/NAME, for example shop/web)`,
    );
  return [namespace, name];
};

/** Compares all nodes, then those that differ once more. */
const compareNodes = async (fleet: Fleet, target: string): Promise<ServiceComparison> => {
  const [namespace, name] = parseTarget(target);
  const comparer = new ServiceComparer();
  const compare = async (only?: readonly string[]): Promise<void> => {
    const truth = await fleet.cluster.serviceTruth(namespace, name);
    const question: Question<ServiceAnswer> = {
      command: ['explain', target, '-o', 'json'],
      parse: parseAnswer,
      parseRefusal: (stderr) => (isUnknownService(stderr, target) ? notServed : undefined),
      only,
    };
    await fleet.ask(question, (answer) => comparer.add(answer, truth));
  };
  await compare();
  if (comparer.differingNodes.length > 0) {
    await sleep(confirmationMilliseconds);
    await compare(comparer.differingNodes);
  }
  return comparer.result();
};

const left = (title: string): Column => ({ title, align: 'left' });

const realServersText = ([least, most]: FrontendSummary['realServers']): string =>
  least === most ? String(most) : `${least}–${most}`;

const schedulersText = ({ schedulers }: FrontendSummary): string => {
  if (schedulers.length < 2) return schedulers[0]?.[0] ?? '-';
  return schedulers.map(([scheduler, nodes]) => `${scheduler} on ${nodes}`).join(', ');
};

const frontendsText = (frontends: readonly FrontendSummary[]): string =>
  formatColumns(
    ['FRONTEND', 'POLICY', 'SCHEDULER', 'REAL SERVERS'].map(left),
    frontends.map((frontend) => [
      frontend.name,
      frontend.policy,
      schedulersText(frontend),
      realServersText(frontend.realServers),
    ]),
    { titles: true },
  );

const backendsText = (backends: readonly BackendSummary[], isWide: boolean, { danger }: Palette): string => {
  const inTrouble = backends.filter(({ missingOn }) => missingOn.length > 0);
  const others = backends.filter(({ missingOn }) => missingOn.length === 0);
  const shown = isWide
    ? backends
    : [...inTrouble, ...others].slice(0, Math.max(maximumBackends, inTrouble.length));
  const table = formatColumns(
    ['REAL SERVER', 'POD', 'NODES', 'MISSING ON'].map(left),
    shown.map(({ realServer, pod = '', nodes, missingOn }) => [
      realServer,
      pod,
      String(nodes),
      missingOn.length === 0
        ? ''
        : { text: isWide ? missingOn.join(', ') : abbreviatedList(missingOn), paint: danger },
    ]),
    { titles: true },
  );
  const hidden = backends.length - shown.length;
  return hidden === 0
    ? table
    : `${table}and ${hidden} more on all nodes that should have them (-o wide lists them)\n`;
};

const groupText = (
  group: ServiceComparison['differing'][number],
  { target, program, output }: FleetExplainOptions,
  palette: Palette,
): string => {
  const hint = `  see: ${program} explain ${target} --node ${group.nodes[0]}`;
  return `${differenceText(group, output === 'wide', palette)}${palette.faint(printable(hint))}\n`;
};

const comparisonText = (comparison: ServiceComparison, options: FleetExplainOptions): string => {
  const palette = paletteFor(process.stdout, process.env, options.color);
  const { alike, differing, frontends, backends } = comparison;
  const differingCount = differing.reduce((sum, { nodes }) => sum + nodes.length, 0);
  const sections = [
    `${palette.strong(options.target)}: ${agreementText(alike.length, differingCount)}\n`,
    ...(frontends.length === 0 ? [] : [frontendsText(frontends)]),
    ...(backends.length === 0 ? [] : [backendsText(backends, options.output === 'wide', palette)]),
    ...differing.map((group) => groupText(group, options, palette)),
  ];
  return sections.join('\n');
};

const comparisonJson = (target: string, { alike, differing, ...rest }: ServiceComparison): string =>
  `${JSON.stringify(
    {
      version: 1,
      service: target,
      alike,
      differing: differing.map(({ nodes, content }) => ({ nodes, findings: content })),
      ...rest,
    },
    undefined,
    2,
  )}\n`;

/** Prints how one Service is programmed on all nodes, and where they differ. */
export const fleetExplain = async (options: FleetExplainOptions): Promise<number> => {
  const { target, output, node } = options;
  parseTarget(target);
  using fleet = await Fleet.find(options);
  if (node.length > 0 && output === 'text') return printNodeStories(fleet, ['explain', target]);
  try {
    const comparison = await compareNodes(fleet, target);
    const { differing, unanswered, alike } = comparison;
    await writeText(
      output === 'json' ? comparisonJson(target, comparison) : comparisonText(comparison, options),
    );
    const answered = differing.reduce((sum, { nodes }) => sum + nodes.length, alike.length);
    printUnanswered(unanswered, answered + unanswered.length);
    printWithoutPod(fleet);
    return fleetStatusOf(differing.length > 0, unanswered.length > 0);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404)
      throw new InputError(`Service ${target} does not exist in the cluster`);
    throw error;
  }
};
