import { command, flag, outputOption } from '../command.js';

export const dumpCommand = command({
  name: 'dump',
  summary:
    "Shows the kernel's IPVS table: virtual servers, their real servers and connections; or the packet rules.",
  operand: {
    name: 'target',
    summary: 'a VIP, or a VIP with a port: 10.96.0.1, 10.96.0.1:443, [fd00::1]:443',
    completion: 'target',
  },
  options: {
    output: outputOption(['table', 'wide', 'json', 'yaml', 'ipvsadm'], 'table'),
    stats: flag('connections, packets and bytes since a server was added'),
    rate: flag('connections, packets and bytes a second'),
    rules: flag('the packet rules (nftables tables ip and ip6 kube-ipvs) instead of the IPVS table'),
    noHeaders: flag('no line of column titles'),
  },
  examples: [
    ['kube-ipvs dump', 'everything, by address'],
    ['kube-ipvs dump 10.96.0.10', 'all ports of one VIP'],
    ["kube-ipvs dump '[fd00::a]:53' --stats", 'one virtual server with its totals'],
    ['kube-ipvs dump --rate -o wide', 'what flows now, with every column'],
    ["kube-ipvs dump -o json | jq '.virtualServers | length'"],
    ['kube-ipvs dump --rules', 'the packet rules with their comments and elements, as nft prints them'],
    ['kube-ipvs dump --rules 10.96.0.1:443', 'the rules, and of the elements those of one virtual server'],
    ['kube-ipvs dump -o ipvsadm > table', 'and ipvsadm -R < table restores it'],
  ],
  needs: 'Needs CAP_NET_ADMIN, as ipvsadm does.',
  exitStatuses: ['done', 'an error or nothing at the target', 'called wrongly'],
  run: async ([target], { output, rules, stats, rate, noHeaders }) => {
    const { dump } = await import('../dump.js');
    return dump({ target, output, rules, statistics: stats, rates: rate, titles: !noHeaders });
  },
});
