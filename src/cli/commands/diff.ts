import { serviceProxyNameOption } from '../admin/instance.js';
import { adminSocketHelp } from '../../config/environment.js';
import { UsageError } from '../../config/parse-flags.js';
import {
  colorOption,
  defineCommand,
  booleanOption,
  outputOption,
  stringOption,
  stringListOption,
} from '../framework/command.js';

const defaultTimeoutSeconds = 30;

const limitMilliseconds = (given: string | undefined): number => {
  const seconds = given === undefined ? defaultTimeoutSeconds : Number(given);
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new UsageError(
      `--timeout: ${JSON.stringify(given)} is not a valid number of seconds (expected, for example, 30)`,
    );
  return seconds * 1_000;
};

export const diffCommand = defineCommand({
  name: 'diff',
  summary: 'Show how the kernel differs from the desired state, and repair it',
  description: `Each line is a difference: + the object is missing, - it is not desired, ~ it has other settings. The desired state
comes from the daemon on this node, or with -f from Services, EndpointSlices and Nodes in files. The command compares virtual
servers, real servers, addresses on kube-ipvs0, local routes of VIPs, packet rules and required kernel settings. Draining real
servers, orphaned virtual servers and the objects of other programs are not differences; if a Service requests a virtual server
that another program created, the command says so. It compares twice within half a second and shows only differences that persist,
because the daemon repairs VIPs and packet rules by itself in that time.

--repair makes the daemon read and repair the kernel now, and waits until nothing differs. With -f, and only if no daemon runs, the
command programs the kernel itself, as --once does.`,
  operand: {
    name: 'target',
    summary: 'a Service, a VIP, a VIP with a port, or a pod, as for dump',
    variadic: true,
    completion: 'target',
  },
  options: {
    filename: stringListOption(
      'path',
      'file or directory of manifests to compare with; - is standard input; repeatable',
      {
        short: 'f',
        completion: 'file',
      },
    ),
    repair: booleanOption('repair the differences'),
    timeout: stringOption('seconds', `maximum duration of a repair (default: ${defaultTimeoutSeconds})`),
    quiet: booleanOption('print errors only; use the exit status', { short: 'q' }),
    output: outputOption(['text', 'json'], 'text'),
    color: colorOption,
    namespace: stringOption('name', 'namespace of the targets; without a target, the whole namespace', {
      short: 'n',
    }),
    config: stringListOption('file', 'with -f: KubeProxyConfiguration file; repeatable', {
      completion: 'file',
    }),
    nodeAddresses: stringOption('list', "with -f: the node's addresses, for example 10.0.0.5/24,fd00::5/64"),
    hostnameOverride: stringOption('name', 'with -f: the name of the Node (default: the host name)'),
    ipvsScheduler: stringOption('name', 'with -f: the default scheduler of Services (default: rr)'),
    serviceProxyName: serviceProxyNameOption,
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs diff', 'check whether another program changed anything'],
    ['kube-ipvs diff --quiet || kube-ipvs diff --repair', 'in a script'],
    ['kube-ipvs diff shop/web 10.96.0.10', 'compare one Service and one VIP'],
    ['kube-ipvs diff -o json | jq \'.operations[] | select(.kind == "real-server")\''],
    ['kube-ipvs diff -f manifests/', 'show what a first start with these manifests would change'],
  ],
  requirements: 'Needs CAP_NET_ADMIN.',
  exitStatuses: ['no differences, or all repaired', 'differences', 'error or invalid command line'],
  run: async (targets, { timeout, ...options }) => {
    const { diff } = await import('../diff/diff.js');
    return diff({ ...options, targets, limitMilliseconds: limitMilliseconds(timeout) });
  },
});
