import { serviceProxyNameOption } from '../admin/instance.js';
import { UsageError } from '../../config/parse-flags.js';
import { nearest } from '../../config/nearest.js';
import {
  colorOption,
  defineCommand,
  booleanOption,
  stringOption,
  stringListOption,
} from '../framework/command.js';

const formats = ['table', 'wide', 'json', 'yaml', 'ipvsadm', 'name'] as const;

const outputOf = (given: string): string => {
  if (formats.some((format) => format === given) || given.startsWith('custom-columns=')) return given;
  const near = nearest(given, formats);
  throw new UsageError(
    `-o: unknown output format ${JSON.stringify(given)} (expected ${formats.join(', ')} or custom-columns=TITLE:FIELD,…)` +
      (near === undefined ? '' : `; did you mean ${near}?`),
  );
};

const runSyncDaemons = async (options: {
  readonly target: string | undefined;
  readonly output: string;
}): Promise<number> => {
  const { dumpSyncDaemons } = await import('../dump/dump-sync-daemons.js');
  return dumpSyncDaemons(options);
};

export const dumpCommand = defineCommand({
  name: 'dump',
  summary: 'Show the IPVS table of the kernel, its connections, or the packet rules',
  description:
    'Shows virtual servers with their real servers and numbers of connections. If the daemon runs on this node, the table also ' +
    'shows Services, pods, nodes and draining real servers, which it reads from the admin socket; otherwise addresses only.',
  operand: {
    name: 'target',
    summary:
      'a Service (shop/web, shop/web:http, svc/web), a VIP, a VIP with a port (10.96.0.1:443, [fd00::1]:443), or a pod (pod/web-1)',
    completion: 'target',
  },
  options: {
    output: {
      ...stringOption(
        'format',
        `output format: ${formats.join(', ')}, custom-columns=TITLE:FIELD,… (default: table)`,
        {
          short: 'o',
        },
      ),
      suggestions: [...formats, 'custom-columns='],
    },
    sortBy: stringOption(
      'field',
      'sort by this field: numbers in descending, texts in ascending order; an unknown name prints the list of fields',
    ),
    namespace: stringOption('name', 'namespace of the target; without a target, the whole namespace', {
      short: 'n',
    }),
    stats: booleanOption('show connections, packets and bytes since the server was added'),
    rate: booleanOption('show connections, packets and bytes per second'),
    rules: booleanOption(
      'show the packet rules (nftables tables ip and ip6 kube-ipvs) instead of the IPVS table',
    ),
    syncDaemons: booleanOption(
      'show the daemons of the kernel that synchronize connections with other nodes instead',
    ),
    watch: booleanOption('show the table, then its changes; with -o json one object per line', {
      short: 'w',
    }),
    connections: booleanOption('show the connections instead: client, virtual server, real server, state'),
    client: stringOption(
      'address',
      'only connections from this client or network: 10.0.0.1, 10.0.0.0/8, 10.0.0.1:4711',
    ),
    real: stringOption('address', 'only connections to this real server or network, in the same forms'),
    inState: stringListOption('state', 'only connections in this state, for example ESTABLISHED; repeatable'),
    noHeaders: booleanOption('hide the column titles'),
    color: colorOption,
    serviceProxyName: serviceProxyNameOption,
    adminSocket: stringOption('path', "the daemon's admin socket; empty: do not use it", {
      completion: 'file',
    }),
  },
  examples: [
    ['kube-ipvs dump', 'all virtual servers, by address'],
    ['kube-ipvs dump shop/web', 'one Service'],
    ['kube-ipvs dump svc/web:http -n shop', 'one port of it, in the syntax of kubectl'],
    ['kube-ipvs dump -n kube-system -o wide', 'every Service of a namespace, with every column'],
    ['kube-ipvs dump 10.96.0.10', 'all ports of one VIP'],
    ["kube-ipvs dump '[fd00::a]:53' --stats", 'one virtual server with its totals'],
    ['kube-ipvs dump --rate --sort-by inBytesPerSecond', 'current rates, the largest first'],
    ['kube-ipvs dump -o custom-columns=POD:pod,NODE:node,ACTIVE:active', 'one line for each real server'],
    ["kube-ipvs dump -o json | jq '.virtualServers | length'"],
    ['kube-ipvs dump --rules shop/web', 'the packet rules with the elements of one Service'],
    [
      'kube-ipvs dump --connections shop/web --in-state ESTABLISHED',
      'the clients of a Service and their pods',
    ],
    ['kube-ipvs dump --connections --client 192.0.2.0/24', 'the connections of the clients in a network'],
    ['kube-ipvs dump -w shop/web', 'one Service during a rollout'],
    ['kube-ipvs dump -o ipvsadm > table', 'restore it with ipvsadm -R < table'],
  ],
  requirements: 'Needs CAP_NET_ADMIN, as ipvsadm does.',
  exitStatuses: ['success', 'error, or the target was not found', 'invalid command line'],
  run: async ([target], given) => {
    const {
      output = 'table',
      stats,
      rate,
      noHeaders,
      watch,
      connections,
      syncDaemons,
      client,
      real,
      inState,
      ...rest
    } = given;
    const options = {
      ...rest,
      target,
      output: outputOf(output),
      statistics: stats,
      rates: rate,
      titles: !noHeaders,
    };
    if (syncDaemons) return runSyncDaemons(options);
    if (connections) {
      const { dumpConnections } = await import('../dump/dump-connections.js');
      return dumpConnections({ ...options, client, real, states: inState });
    }
    if (client !== undefined || real !== undefined || inState.length > 0)
      throw new UsageError('--client, --real and --in-state require --connections');
    if (watch) {
      if (rest.rules) throw new UsageError('--watch and --rules cannot be combined');
      const { watchDump } = await import('../dump/dump-watch.js');
      return watchDump(options);
    }
    const { dump } = await import('../dump/dump.js');
    return dump(options);
  },
});
