import { defineCommand, booleanOption, outputOption, stringListOption } from '../framework/command.js';

export const cleanupCommand = defineCommand({
  name: 'cleanup',
  summary: 'Removes from this node what kube-ipvs has made, and nothing else.',
  description: `Removes its virtual servers (those that its packet rules name, and those on addresses of kube-ipvs0), the interface
kube-ipvs0 with its addresses, its rules in chains of others (forwarding.acceptInForeignChains), and the nftables tables
ip and ip6 kube-ipvs. Virtual servers, addresses and tables of others stay, and so do kernel settings (sysctl). Asks no API
server. Stop the daemon first: it would put everything back.

--kube-proxy removes the chains KUBE-* of kube-proxy in the tables of iptables-nft with the jumps to them, its nftables tables
ip and ip6 kube-proxy, its sets of ipset, and, unless kube-ipvs runs or has run here, kube-ipvs0 and the virtual servers on it
and on its node ports. Those its sets KUBE-NODE-PORT-* tell; where they are gone, ports 30000 to 32767 of the node's addresses
are assumed to be, and it says of which. It may run beside the daemon. Chains of the kubelet and of others stay. Rules in
iptables-legacy it cannot remove: it prints the command that does. Stop kube-proxy first.`,
  options: {
    kubeProxy: booleanOption('remove what kube-proxy left instead, of its modes ipvs, iptables and nftables'),
    dryRun: booleanOption('print what would be removed and touch nothing'),
    config: stringListOption('file', 'KubeProxyConfiguration; repeatable', { completion: 'file' }),
    output: outputOption(['text', 'json'], 'text'),
  },
  examples: [
    ['kube-ipvs cleanup --dry-run', 'what would go'],
    ['kube-ipvs cleanup'],
    ['kube-ipvs cleanup --config=config.conf', 'leave virtual servers in its ipvs.excludeCIDRs'],
    ['kube-ipvs cleanup --kube-proxy --dry-run', 'what kube-proxy left here'],
    ['kube-ipvs cleanup --kube-proxy'],
    ['kube-proxy --cleanup', 'removes what is of kube-ipvs, where it is called as kube-proxy'],
  ],
  requirements: 'Needs CAP_NET_ADMIN.',
  exitStatuses: [
    'nothing is left (with --dry-run: nothing would be)',
    'something is or would be, and why, or another error',
    'called wrongly',
  ],
  run: async (_, { kubeProxy, dryRun, config, output }) => {
    const { parseFlags } = await import('../../config/parse-flags.js');
    const { loadSettings } = await import('../../config/load-settings.js');
    const flags = [...config.map((file) => `--config=${file}`), `--dry-run=${dryRun}`];
    const settings = loadSettings(parseFlags(flags));
    if (kubeProxy) {
      const { cleanupKubeProxy } = await import('../cleanup/kube-proxy-cleanup.js');
      return cleanupKubeProxy({ excludeCidrs: settings.excludeCidrs, dryRun, output });
    }
    const { cleanup } = await import('../cleanup/cleanup.js');
    return cleanup(settings, output);
  },
});
