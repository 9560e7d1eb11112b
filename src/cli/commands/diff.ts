import { adminSocketHelp } from '../../config/admin-socket.js';
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
    throw new UsageError(`--timeout must be a number of seconds, as 30; here ${JSON.stringify(given)}`);
  return seconds * 1_000;
};

export const diffCommand = defineCommand({
  name: 'diff',
  summary: 'Shows how the kernel differs from what is wanted, line by line, and repairs it.',
  description: `+ is missing, - is too much, ~ is there and otherwise. What is wanted is what the daemon on this node says, or with -f what
Services, EndpointSlices and Nodes in files ask for. Virtual servers and real servers, addresses on kube-ipvs0, packet rules
and needed kernel settings are compared. What drains or lingers for its open connections is no difference, and neither is what
others have made; where a Service asks for that, it is told. A difference to the daemon is one that is there twice within half a
second: addresses and packet rules it repairs by itself in that time.

--repair asks the daemon, which alone writes to the kernel, to read it and to repair it now, and looks until nothing differs. With
-f and without a daemon it programs the kernel itself, as --once does.`,
  operand: {
    name: 'target',
    summary: 'only this Service, VIP, VIP with a port, or pod, as for dump',
    variadic: true,
    completion: 'target',
  },
  options: {
    filename: stringListOption(
      'path',
      'compare with a file or folder of manifests; - is standard input; repeatable',
      {
        short: 'f',
        completion: 'file',
      },
    ),
    repair: booleanOption('make it as it is wanted, and say what cannot be'),
    timeout: stringOption('seconds', `how long a repair may take (default: ${defaultTimeoutSeconds})`),
    quiet: booleanOption('nothing but errors: the exit status tells', { short: 'q' }),
    output: outputOption(['text', 'json'], 'text'),
    color: colorOption,
    namespace: stringOption('name', 'of the targets; without one, all of this namespace', { short: 'n' }),
    config: stringListOption('file', 'with -f: KubeProxyConfiguration; repeatable', { completion: 'file' }),
    nodeAddresses: stringOption('list', "with -f: the node's addresses, as 10.0.0.5/24,fd00::5/64"),
    hostnameOverride: stringOption(
      'name',
      'with -f: the name of the Node (default: the name of this machine)',
    ),
    ipvsScheduler: stringOption('name', 'with -f: the scheduler of Services that name none (default: rr)'),
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs diff', 'has somebody changed anything?'],
    ['kube-ipvs diff --quiet || kube-ipvs diff --repair', 'in a script'],
    ['kube-ipvs diff shop/web 10.96.0.10', 'of a Service and of a VIP'],
    ['kube-ipvs diff -o json | jq \'.operations[] | select(.kind == "real-server")\''],
    ['kube-ipvs diff -f manifests/', 'what a first start with these would change here'],
  ],
  requirements: 'Needs CAP_NET_ADMIN.',
  exitStatuses: ['equal, or repaired', 'different, or left so', 'an error, or called wrongly'],
  run: async (targets, { timeout, ...options }) => {
    const asked = { ...options, targets, limitMilliseconds: limitMilliseconds(timeout) };
    const { diff } = await import('../diff/diff.js');
    return diff(asked);
  },
});
