import { serviceProxyNameOption } from '../admin/instance.js';
import { adminSocketHelp } from '../../config/environment.js';
import {
  defineCommand,
  booleanOption,
  outputOption,
  stringOption,
  stringListOption,
} from '../framework/command.js';

export const doctorCommand = defineCommand({
  name: 'doctor',
  summary: 'Find problems of IPVS and kube-ipvs on this node, and show how to fix them',
  description:
    'The result of a check is pass, warn, fail or unknown (it could not be made). The command changes nothing and starts no ' +
    'program. It reads the kernel, /proc, the API server and the daemon on this node; if it cannot read one of them, only the ' +
    'checks that need it are unknown. Without --config it reads /var/lib/kube-proxy/config.conf if that file exists. ' +
    'docs/doctor.md lists all checks.',
  options: {
    config: stringListOption(
      'file',
      'file with KubeProxyConfiguration and KubeIpvsConfiguration; repeatable',
      {
        completion: 'file',
      },
    ),
    kubeconfig: stringOption(
      'file',
      'kubeconfig for the API server; takes precedence over the configuration',
      {
        completion: 'file',
      },
    ),
    hostnameOverride: stringOption('name', 'the name of the Node (default: $NODE_NAME, else the host name)'),
    source: stringOption(
      'path',
      'file or directory of manifests to read Services from, instead of the API server (default: the source of the daemon)',
      {
        completion: 'file',
      },
    ),
    serviceProxyName: serviceProxyNameOption,
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
    only: stringListOption(
      'checks',
      'run only these checks, by id or group; repeatable or separated by commas',
    ),
    quiet: booleanOption('hide checks that pass', { short: 'q' }),
    strict: booleanOption('exit with status 1 for warnings too'),
    output: outputOption(['table', 'json', 'yaml'], 'table'),
  },
  examples: [
    ['kube-ipvs doctor', 'run all checks'],
    ['kube-ipvs doctor --quiet', 'show only what needs attention'],
    ['kube-ipvs doctor --only settings,conntrack', 'run two groups of checks'],
    ['kubectl -n kube-system exec ds/kube-ipvs -- kube-ipvs doctor', 'from outside the node'],
    ['kube-ipvs doctor -o json | jq -r \'.checks[] | select(.result == "fail") | .remedy\''],
  ],
  requirements:
    'To run all checks it needs root or CAP_NET_ADMIN, and the group root for iptables-legacy; it also runs without them.',
  exitStatuses: [
    'no failures (with --strict: and no warnings)',
    'a check failed (with --strict: or warned)',
    'invalid command line',
  ],
  run: async (_, options) => {
    const { doctor } = await import('../doctor/doctor.js');
    return doctor(options);
  },
});
