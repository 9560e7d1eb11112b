import { adminSocketHelp } from '../../config/environment.js';
import {
  booleanOption,
  defineCommand,
  outputOption,
  stringListOption,
  stringOption,
  type CommandGroup,
} from '../framework/command.js';

const nodeOptions = {
  config: stringListOption('file', 'configuration file of kube-ipvs; repeatable', { completion: 'file' }),
  kubeconfig: stringOption('file', 'kubeconfig for the API server; takes precedence over the configuration', {
    completion: 'file',
  }),
  hostnameOverride: stringOption('name', 'the name of the Node (default: $NODE_NAME, else the host name)'),
  source: stringOption('path', 'manifests to read Services from, instead of the API server', {
    completion: 'file',
  }),
};

const runOptions = {
  ...nodeOptions,
  adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  probe: stringListOption(
    'url',
    'send requests to tcp://HOST:PORT or http://HOST:PORT/PATH; repeatable (default: the cluster IPs of up to 20 Services)',
  ),
  observe: stringOption('duration', 'send requests for so long after each step (default: 15s)'),
  timeout: stringOption(
    'duration',
    'give up if the other proxy does not serve within this time (default: 3m)',
  ),
  drainTimeout: stringOption(
    'duration',
    'back in mode iptables or nftables: wait so long for connections through IPVS to end (default: 1m)',
  ),
  toKubeIpvs: stringOption('command', 'shell command that stops kube-proxy and starts kube-ipvs'),
  toKubeProxy: stringOption('command', 'shell command that stops kube-ipvs and starts kube-proxy'),
  output: outputOption(['text', 'json'], 'text'),
};

const switchText = `By default it sets the label kube-ipvs.dev/service-proxy=kube-ipvs of the Node (migrate back removes it), by which
the DaemonSets of both proxies select their nodes: docs/migration.md. Where the proxies are services of systemd, give the two commands
that stop the one and start the other.`;

const requirements =
  'Needs root on the node, or a privileged pod with hostNetwork and hostPID; for the label also the permission to patch nodes.';

const checkCommand = defineCommand({
  name: 'check',
  summary: 'Show what a migration of this node changes, what depends on kube-proxy, and what would break',
  description: `Compares the configuration of kube-ipvs with the running kube-proxy, and checks the kernel, the programs and the
Services of this node. It changes nothing and starts no program. Without --config it reads /var/lib/kube-proxy/config.conf if that
file exists. The result of a check is pass, warn, fail or unknown (it could not be made).`,
  options: {
    ...nodeOptions,
    quiet: booleanOption('hide checks that pass', { short: 'q' }),
    output: outputOption(['table', 'json', 'yaml'], 'table'),
  },
  examples: [
    ['kube-ipvs migrate check --config=config.conf', 'before the first migration of a node'],
    ['kube-ipvs migrate check --quiet', 'show only what needs attention'],
  ],
  requirements: 'To run all checks it needs root on the node; it also runs without.',
  exitStatuses: ['no check fails', 'a check fails: migrate node would refuse', 'invalid command line'],
  run: async (_, options) => {
    const { migrateCheck } = await import('../migrate/migrate-check.js');
    return migrateCheck(options);
  },
});

const nodeCommand = defineCommand({
  name: 'node',
  summary: 'Take this node from kube-proxy to kube-ipvs, and back by itself if requests fail',
  description: `Runs the checks of migrate check, then sends requests to Services all the time. It stops kube-proxy and starts
kube-ipvs, waits until kube-ipvs has synced and serves alone, and removes what kube-proxy left (as cleanup --kube-proxy does). If a
request fails, if a step fails or takes too long, or if you press Ctrl-C, it starts kube-proxy again and removes what kube-ipvs made
that would keep kube-proxy from serving.

${switchText}`,
  options: {
    ...runOptions,
    maxFailures: stringOption('number', 'roll back when more requests than this have failed (default: 0)'),
  },
  examples: [
    ['kube-ipvs migrate node --kubeconfig=/etc/kubernetes/kubelet.conf', 'proxies in DaemonSets'],
    [
      "kube-ipvs migrate node --to-kube-ipvs='systemctl disable --now kube-proxy; systemctl enable --now kube-ipvs' " +
        "--to-kube-proxy='systemctl disable --now kube-ipvs; systemctl enable --now kube-proxy'",
    ],
    ['kube-ipvs migrate node --probe=http://10.96.0.20/healthz', 'send requests to this target only'],
  ],
  requirements,
  exitStatuses: [
    'migrated',
    'not migrated: kube-proxy serves, or the output says what to do',
    'invalid command line',
    'migrated, but something of kube-proxy is left',
  ],
  run: async (_, options) => {
    const { migrateNode } = await import('../migrate/migrate.js');
    return migrateNode(options);
  },
});

const backCommand = defineCommand({
  name: 'back',
  summary: 'Return this node from kube-ipvs to kube-proxy',
  description: `Stops kube-ipvs and starts kube-proxy while it sends requests to Services, and waits until kube-proxy serves. In mode
ipvs it then removes the packet rules of kube-ipvs; kube-proxy keeps the virtual servers and their connections. In another mode it
lets kube-proxy have the new connections, waits until those through IPVS have ended, and removes everything of kube-ipvs.

${switchText}`,
  options: runOptions,
  examples: [
    ['kube-ipvs migrate back --kubeconfig=/etc/kubernetes/kubelet.conf'],
    ['kube-ipvs migrate back --drain-timeout=1h', 'wait longer for connections through IPVS'],
  ],
  requirements,
  exitStatuses: [
    'kube-proxy serves, and nothing of kube-ipvs is in its way',
    'kube-proxy does not serve: the output says what to do',
    'invalid command line',
    'kube-proxy serves, but requests failed or something of kube-ipvs is left',
  ],
  run: async (_, options) => {
    const { migrateBack } = await import('../migrate/migrate.js');
    return migrateBack({ ...options, maxFailures: undefined });
  },
});

const commands = [checkCommand, nodeCommand, backCommand];

export const migrateCommand: CommandGroup = {
  name: 'migrate',
  summary: 'Replace kube-proxy on this node, and go back',
  commands,
  examples: commands.flatMap(({ examples }) => examples),
  exitStatuses: [
    'success',
    'a check fails, or the node keeps its previous proxy',
    'invalid command line',
    'the other proxy serves, but something is left to do',
  ],
};
