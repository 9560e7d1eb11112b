import { adminSocketHelp } from '../../config/admin-socket.js';
import {
  defineCommand,
  booleanOption,
  outputOption,
  stringOption,
  stringListOption,
} from '../framework/command.js';

export const doctorCommand = defineCommand({
  name: 'doctor',
  summary:
    'Looks for whatever keeps IPVS or kube-ipvs on this node from working well, and says what to do about it.',
  description:
    'Every check is pass, warn, fail or unknown (it could not look, and says why). It changes nothing and starts no program; ' +
    'it asks the kernel, /proc, the API server and the daemon on this node, and what it may not see makes only those checks ' +
    'unknown that need it. Without --config it reads /var/lib/kube-proxy/config.conf where there is one. docs/doctor.md ' +
    'lists all checks.',
  options: {
    config: stringListOption('file', 'KubeProxyConfiguration and KubeIpvsConfiguration; repeatable', {
      completion: 'file',
    }),
    kubeconfig: stringOption('file', 'how to reach the API server, before that of the configuration', {
      completion: 'file',
    }),
    hostnameOverride: stringOption(
      'name',
      "the name of this machine's Node (default: $NODE_NAME, else the machine's name)",
    ),
    source: stringOption(
      'path',
      'a file or folder of manifests with the Services, where no API server is to be asked (default: as the daemon)',
      {
        completion: 'file',
      },
    ),
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
    only: stringListOption('checks', 'only these, by id or group; repeatable, or with commas between'),
    quiet: booleanOption('only what is not pass', { short: 'q' }),
    strict: booleanOption('warnings count: exit status 1 for them too'),
    output: outputOption(['table', 'json', 'yaml'], 'table'),
  },
  examples: [
    ['kube-ipvs doctor', 'everything'],
    ['kube-ipvs doctor --quiet', 'what needs attention'],
    ['kube-ipvs doctor --only settings,conntrack', 'two groups of checks'],
    ['kubectl -n kube-system exec ds/kube-ipvs -- kube-ipvs doctor', 'on a node, from afar'],
    ['kube-ipvs doctor -o json | jq -r \'.checks[] | select(.result == "fail") | .remedy\''],
  ],
  requirements:
    'Needs root or CAP_NET_ADMIN (the group root for iptables-legacy) to see everything, and runs without.',
  exitStatuses: ['no check fails (--strict: nor warns)', 'a check fails', 'called wrongly'],
  run: async (_, options) => {
    const { doctor } = await import('../doctor/doctor.js');
    return doctor(options);
  },
});
