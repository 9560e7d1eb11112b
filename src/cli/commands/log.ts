import { adminSocketHelp } from '../../config/environment.js';
import { serviceProxyNameOption } from '../admin/instance.js';
import {
  booleanOption,
  colorOption,
  defineCommand,
  outputOption,
  stringOption,
} from '../framework/command.js';

export const logCommand = defineCommand({
  name: 'log',
  summary: 'Show what kube-ipvs changed in the kernel lately, and why',
  description:
    'Shows each change of a virtual server, real server, address, route or element of the packet rules with its time and its cause, ' +
    'such as a changed EndpointSlice or a repair after another program; also drains, refused operations, conflicts with other ' +
    'programs, changed settings and starts of the daemon. The daemon keeps these records in memory: at least those of the last hour ' +
    'if it runs that long. Of many changes at once, as in a full sync, it lists the first 500 and counts the others. Times are ' +
    'local in the table, and UTC in JSON and YAML. docs/log.md lists the causes.',
  options: {
    service: stringOption('name', 'show only one Service (shop/web), and summaries', {
      completion: 'target',
    }),
    namespace: stringOption('name', 'namespace of the Service, if --service has none', { short: 'n' }),
    since: stringOption(
      'time',
      'show only changes since: a duration (10m), a local time (03:12), or a date and time (2026-11-23T10:00:00Z)',
    ),
    until: stringOption('time', 'show only changes until then, in the same forms'),
    follow: booleanOption('show new changes as they come; with -o json one object per line', { short: 'f' }),
    output: outputOption(['table', 'json', 'yaml'], 'table'),
    noHeaders: booleanOption('hide the column titles'),
    color: colorOption,
    serviceProxyName: serviceProxyNameOption,
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs log', 'everything that the daemon has kept'],
    ['kube-ipvs log --since 10m --service shop/web', 'one Service in the last ten minutes'],
    ['kube-ipvs log --since 03:10 --until 03:15', 'what happened at 03:12'],
    ['kube-ipvs log -f --since 0s', 'only what changes from now on'],
    ['kubectl -n kube-system exec ds/kube-ipvs -- kube-ipvs log', 'from outside the node'],
    [
      `kube-ipvs log -o json | jq '.records[] | select(.cause == "drift")'`,
      'what other programs changed and kube-ipvs repaired',
    ],
  ],
  requirements: 'Needs the daemon on this node, and only the permission to connect to its admin socket.',
  exitStatuses: ['success', 'cannot connect to the daemon, or another error', 'invalid command line'],
  run: async (_, options) => {
    const { log } = await import('../log/log.js');
    return log(options);
  },
});
