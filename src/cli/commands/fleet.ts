import { parseDuration } from '../../base/duration.js';
import { isExpectedError, messageOf } from '../../base/errors.js';
import { UsageError } from '../../config/parse-flags.js';
import { trafficGroupings } from '../../fleet/traffic.js';
import { fleetExitStatuses, type FleetOptions } from '../fleet/fleet-options.js';
import { printDiagnostic } from '../output/standard-output.js';
import {
  booleanOption,
  choiceOption,
  colorOption,
  defineCommand,
  exitStatus,
  outputOption,
  stringListOption,
  stringOption,
  type CommandGroup,
  type RunnableCommand,
} from '../framework/command.js';

const defaults = { namespace: 'kube-system', podSelector: 'k8s-app=kube-ipvs', parallel: 50, timeout: '30s' };

const durationOf = (flag: string, given: string): number => {
  const milliseconds = parseDuration(given);
  if (milliseconds === undefined || milliseconds < 100)
    throw new UsageError(
      `--${flag}: ${JSON.stringify(given)} is not a valid duration (expected 100ms or more, for example 10s)`,
    );
  return milliseconds;
};

const countOf = (flag: string, given: string | undefined): number | undefined => {
  if (given === undefined) return undefined;
  const count = Number(given);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new UsageError(
      `--${flag}: ${JSON.stringify(given)} is not a valid number (expected a whole number, 1 or more)`,
    );
  return count;
};

/** Of all commands: which nodes, which cluster. */
const commonOptions = {
  selector: stringOption('labels', 'only nodes with these labels, as kubectl get nodes -l', { short: 'l' }),
  node: stringListOption('name', 'only this node, and what the command prints there itself; repeatable'),
  namespace: stringOption('name', `namespace of the kube-ipvs pods (default: ${defaults.namespace})`, {
    short: 'n',
  }),
  podSelector: stringOption(
    'labels',
    `labels of the kube-ipvs pods (default: ${defaults.podSelector}); the chart sets k8s-app to its full name`,
  ),
  parallel: stringOption('count', `nodes asked at the same time (default: ${defaults.parallel})`),
  timeout: stringOption('duration', `how long a node may take to answer (default: ${defaults.timeout})`),
  kubeconfig: stringOption('file', 'kubeconfig file (default: $KUBECONFIG, else ~/.kube/config)', {
    completion: 'file',
  }),
  context: stringOption('name', 'context of the kubeconfig'),
  cluster: stringOption('name', 'cluster of the kubeconfig'),
  user: stringOption('name', 'user of the kubeconfig'),
  server: stringOption('url', 'address of the API server', { short: 's' }),
  token: stringOption('token', 'bearer token for the API server'),
  as: stringOption('user', 'user to impersonate'),
};

type Values = {
  readonly [Name in keyof typeof commonOptions]: ReturnType<(typeof commonOptions)[Name]['parse']>;
};

const fleetOptions = ({ namespace, podSelector, parallel, timeout, ...rest }: Values): FleetOptions => ({
  ...rest,
  namespace: namespace ?? defaults.namespace,
  podSelector: podSelector ?? defaults.podSelector,
  parallel: countOf('parallel', parallel) ?? defaults.parallel,
  timeoutMilliseconds: durationOf('timeout', timeout ?? defaults.timeout),
});

/** What prevents asking at all is another status than what was found on nodes. */
const orError = async (work: Promise<number>): Promise<number> => {
  try {
    return await work;
  } catch (error) {
    if (!isExpectedError(error) || error instanceof UsageError) throw error;
    printDiagnostic(messageOf(error));
    return exitStatus.usage;
  }
};

const requirements =
  'Needs the permission to create and get pods/exec and to list pods in the namespace of kube-ipvs, and to list nodes; docs/fleet.md has the Role.';

const formats = outputOption(['text', 'wide', 'json'], 'text');

const statusOf = (program: string): RunnableCommand =>
  defineCommand({
    name: 'status',
    summary: 'Show the daemons of all nodes, those that need attention first',
    description:
      'A line for each node: whether the daemon is healthy, whether the kernel has everything that it should have, how many objects ' +
      'drain, how often other programs changed objects of kube-ipvs since it started (drift), and the last error. Nodes that do not ' +
      'answer come first.',
    options: {
      ...commonOptions,
      quiet: booleanOption('hide nodes that need no attention', { short: 'q' }),
      output: outputOption(['table', 'wide', 'json'], 'table'),
      color: colorOption,
    },
    examples: [
      [`${program} status`, 'all nodes'],
      [`${program} status -q -o wide`, 'what needs attention, with configuration, kernel and age'],
      [`${program} status -l topology.kubernetes.io/zone=a`, 'the nodes of one zone'],
      [`${program} status -o json | jq -r '.nodes[] | select(.inSync == false) | .node'`],
    ],
    requirements,
    exitStatuses: fleetExitStatuses('a daemon is not healthy or has problems'),
    run: async (_, { quiet, output, color, ...values }) => {
      const { fleetStatusCommand } = await import('../fleet/fleet-status.js');
      return orError(fleetStatusCommand({ ...fleetOptions(values), quiet, output, color }));
    },
  });

const explainOf = (program: string): RunnableCommand =>
  defineCommand({
    name: 'explain',
    summary: 'Show how one Service is programmed on all nodes, and where they differ',
    description:
      'Compares, on each node, the endpoints that the daemon knows with those of the API server, and the kernel with what the daemon ' +
      'desires. Nodes with the same differences are one group. What differs is compared again after a second: nodes take a moment to ' +
      'follow a change. Traffic policies, topology hints and node ports, by which nodes differ as they should, are no differences. ' +
      'With --node, it prints the whole report of that node.',
    operand: { name: 'service', summary: 'a Service, for example shop/web', mandatory: true },
    options: { ...commonOptions, output: formats, color: colorOption },
    examples: [
      [`${program} explain shop/web`, 'which nodes lack a backend?'],
      [`${program} explain shop/web -o wide`, 'with all backends and all names of nodes'],
      [`${program} explain shop/web --node node-17`, 'the report of one node'],
      [`${program} explain shop/web -o json | jq -r '.differing[].nodes[]'`],
    ],
    requirements: `${requirements} It also gets the Service and lists its EndpointSlices.`,
    exitStatuses: fleetExitStatuses('a node differs'),
    run: async ([target = ''], { output, color, ...values }) => {
      const { fleetExplain } = await import('../fleet/fleet-explain.js');
      return orError(fleetExplain({ ...fleetOptions(values), target, program, output, color }));
    },
  });

const diffOf = (program: string): RunnableCommand =>
  defineCommand({
    name: 'diff',
    summary: 'Show where the kernels of nodes differ from their desired state',
    description:
      'Runs kube-ipvs diff on each node and groups nodes with the same differences: + the object is missing, - it is not desired, ~ it ' +
      'has other settings. It repairs nothing.',
    operand: { name: 'target', summary: 'a Service, a VIP or a VIP with a port', variadic: true },
    options: { ...commonOptions, output: formats, color: colorOption },
    examples: [
      [`${program} diff`, 'everything on all nodes'],
      [`${program} diff shop/web 10.96.0.10`, 'one Service and one VIP'],
    ],
    requirements,
    exitStatuses: fleetExitStatuses('a node differs'),
    run: async (targets, { output, color, ...values }) => {
      const { fleetDiff } = await import('../fleet/fleet-diff.js');
      return orError(fleetDiff({ ...fleetOptions(values), targets, output, color }));
    },
  });

const dumpOf = (program: string): RunnableCommand =>
  defineCommand({
    name: 'dump',
    summary: 'Show the IPVS tables of all nodes: that of most nodes, and how others differ',
    description:
      'Counters and connections are not compared, and the node ports of all nodes count as one. Each node sends the whole table that ' +
      'you ask for: name a target in a large cluster.',
    operand: { name: 'target', summary: 'a Service, a VIP, a VIP with a port, or a pod' },
    options: { ...commonOptions, output: formats, color: colorOption },
    examples: [
      [`${program} dump shop/web`, 'one Service'],
      [`${program} dump 10.96.0.10:53`, 'one VIP and port'],
      [`${program} dump --node node-17`, 'the whole table of one node'],
    ],
    requirements,
    exitStatuses: fleetExitStatuses('tables differ'),
    run: async ([target], { output, color, ...values }) => {
      const { fleetDump } = await import('../fleet/fleet-dump.js');
      return orError(fleetDump({ ...fleetOptions(values), target, output, color }));
    },
  });

const topOf = (program: string): RunnableCommand =>
  defineCommand({
    name: 'top',
    summary: 'Show live traffic, added up over all nodes',
    description:
      'Runs full-screen in a terminal until you press q; elsewhere, and with --batch, it prints samples. Each node samples its kernel ' +
      'as kube-ipvs top does. After you quit, the commands in the pods end within fifteen samples.',
    options: {
      ...commonOptions,
      by: choiceOption('rows', trafficGroupings, 'service', 'what to add up by'),
      interval: stringOption('duration', 'time between two samples (default: 2s)', { short: 'd' }),
      batch: booleanOption('print samples instead of running full-screen', { short: 'b' }),
      iterations: stringOption('count', 'exit after this many samples; implies --batch'),
      output: outputOption(['table', 'json'], 'table'),
    },
    examples: [
      [`${program} top`, 'all Services'],
      [`${program} top --by node`, 'the busiest nodes'],
      [`${program} top --by backend --iterations 1`, 'the traffic of two seconds, by backend'],
    ],
    requirements,
    exitStatuses: fleetExitStatuses('does not occur'),
    run: async (_, { by, interval = '2s', batch, iterations, output, ...values }) => {
      const samples = countOf('iterations', iterations);
      const { fleetTop } = await import('../fleet/fleet-top.js');
      return orError(
        fleetTop({
          ...fleetOptions(values),
          grouping: by,
          intervalMilliseconds: durationOf('interval', interval),
          batch: batch || samples !== undefined || output === 'json',
          iterations: samples,
          output,
        }),
      );
    },
  });

const doctorOf = (program: string): RunnableCommand =>
  defineCommand({
    name: 'doctor',
    summary: 'Run the checks of all nodes, and show what does not pass by check',
    description: 'docs/doctor.md lists all checks.',
    options: {
      ...commonOptions,
      only: stringListOption(
        'checks',
        'run only these checks, by id or group; repeatable or separated by commas',
      ),
      strict: booleanOption('exit with status 1 for warnings too'),
      output: formats,
      color: colorOption,
    },
    examples: [
      [`${program} doctor`, 'all checks on all nodes'],
      [`${program} doctor --only conntrack,settings`, 'two groups of checks'],
    ],
    requirements,
    exitStatuses: fleetExitStatuses('a check fails (with --strict: or warns)'),
    run: async (_, { only, strict, output, color, ...values }) => {
      const { fleetDoctor } = await import('../fleet/fleet-doctor.js');
      return orError(fleetDoctor({ ...fleetOptions(values), only, strict, output, color }));
    },
  });

/** The commands that ask all nodes, for help texts of a program of this name. */
export const fleetCommands = (program: string): readonly RunnableCommand[] =>
  [statusOf, explainOf, diffOf, dumpOf, topOf, doctorOf].map((command) => command(program));

/** The commands as a group. */
export const fleetGroup = (commands: readonly RunnableCommand[]): CommandGroup => ({
  name: 'fleet',
  summary: 'Ask the daemons of all nodes through the API server; also as `kubectl kube-ipvs`',
  description:
    'Each command runs the command of the same name in the kube-ipvs pod of every node, as kubectl exec does, and puts the answers ' +
    'together. It needs no access to the nodes, and runs where kubectl runs. Nodes that do not answer are named.',
  commands,
  examples: commands.flatMap(({ examples }) => examples.slice(0, 1)),
  requirements,
  exitStatuses: fleetExitStatuses('something needs attention'),
});

export const fleetCommand = fleetGroup(fleetCommands('kube-ipvs fleet'));
