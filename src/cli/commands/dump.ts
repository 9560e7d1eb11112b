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
    `-o ${JSON.stringify(given)} is no format${near === undefined ? '.' : `; is ${near} meant?`} There are ${formats.join(', ')} and custom-columns=TITLE:FIELD,…`,
  );
};

export const dumpCommand = defineCommand({
  name: 'dump',
  summary:
    "Shows the kernel's IPVS table: virtual servers, their real servers and connections; or the packet rules.",
  description:
    'Where a daemon runs here, Services, pods, nodes and what drains are told by name: it is asked on its admin socket. Without it ' +
    'there are addresses alone.',
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
        `how to print it: ${formats.join(', ')}, custom-columns=TITLE:FIELD,… (default: table)`,
        {
          short: 'o',
        },
      ),
      suggestions: [...formats, 'custom-columns='],
    },
    sortBy: stringOption(
      'field',
      'numbers from the largest on, texts from A on; a wrong name tells which fields there are',
    ),
    namespace: stringOption('name', 'of the target; without one, everything of this namespace', {
      short: 'n',
    }),
    stats: booleanOption('connections, packets and bytes since a server was added'),
    rate: booleanOption('connections, packets and bytes a second'),
    rules: booleanOption('the packet rules (nftables tables ip and ip6 kube-ipvs) instead of the IPVS table'),
    watch: booleanOption('the table, and from then on what changes in it; -o json: an object a line', {
      short: 'w',
    }),
    connections: booleanOption(
      "the kernel's connection table instead: client, virtual server, real server, state",
    ),
    client: stringOption('address', 'connections of these clients: 10.0.0.1, 10.0.0.0/8, 10.0.0.1:4711'),
    real: stringOption('address', 'connections to these real servers, in the same forms'),
    inState: stringListOption('state', 'connections in this state, as ESTABLISHED or TIME_WAIT'),
    noHeaders: booleanOption('no line of column titles'),
    color: colorOption,
    adminSocket: stringOption('path', "the daemon's admin socket; empty: ask none", { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs dump', 'everything, by address'],
    ['kube-ipvs dump shop/web', 'one Service'],
    ['kube-ipvs dump svc/web:http -n shop', 'one port of it, written as for kubectl'],
    ['kube-ipvs dump -n kube-system -o wide', 'every Service of a namespace, with every column'],
    ['kube-ipvs dump 10.96.0.10', 'all ports of one VIP'],
    ["kube-ipvs dump '[fd00::a]:53' --stats", 'one virtual server with its totals'],
    ['kube-ipvs dump --rate --sort-by inBytesPerSecond', 'what flows now, the most first'],
    ['kube-ipvs dump -o custom-columns=POD:pod,NODE:node,ACTIVE:active', 'one line a real server'],
    ["kube-ipvs dump -o json | jq '.virtualServers | length'"],
    ['kube-ipvs dump --rules shop/web', 'the packet rules, and of the elements those of one Service'],
    [
      'kube-ipvs dump --connections shop/web --in-state ESTABLISHED',
      'who is connected to a Service, and to which pod',
    ],
    ['kube-ipvs dump --connections --client 192.0.2.0/24', 'what clients of a network have open'],
    ['kube-ipvs dump -w shop/web', 'one Service, and what changes in the kernel as its pods roll'],
    ['kube-ipvs dump -o ipvsadm > table', 'and ipvsadm -R < table restores it'],
  ],
  requirements: 'Needs CAP_NET_ADMIN, as ipvsadm does.',
  exitStatuses: ['done', 'an error or nothing at the target', 'called wrongly'],
  run: async ([target], given) => {
    const {
      output = 'table',
      stats,
      rate,
      noHeaders,
      watch,
      connections,
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
    if (connections) {
      const { dumpConnections } = await import('../dump/dump-connections.js');
      return dumpConnections({ ...options, client, real, states: inState });
    }
    if (client !== undefined || real !== undefined || inState.length > 0)
      throw new UsageError('--client, --real and --in-state go with --connections');
    if (watch) {
      if (rest.rules) throw new UsageError('--watch goes without --rules');
      const { watchDump } = await import('../dump/dump-watch.js');
      return watchDump(options);
    }
    const { dump } = await import('../dump/dump.js');
    return dump(options);
  },
});
