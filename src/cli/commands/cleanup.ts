import { serviceProxyNameOption } from '../admin/instance.js';
import { defineCommand, booleanOption, outputOption, stringListOption } from '../framework/command.js';

export const cleanupCommand = defineCommand({
  name: 'cleanup',
  summary: 'Remove everything that kube-ipvs created on this node, and nothing else',
  description: `Removes the virtual servers of kube-ipvs (those in its packet rules, and those on VIPs that are bound), the local
routes of VIPs (vips.binding: route), the interface kube-ipvs0 with its addresses, its rules in chains of other programs
(forwarding.acceptInForeignChains), and the nftables tables ip and ip6 kube-ipvs. Virtual servers, addresses, routes and tables of
other programs stay, and so do kernel settings (sysctl). It does not need the API server. Stop the daemon first: it restores
everything. With --service-proxy-name, or with a --config that has a serviceProxyName, it removes only what this instance created.

With --kube-proxy, it removes what kube-proxy created instead: the chains KUBE-* in the tables of iptables-nft with the jumps to
them, the nftables tables ip and ip6 kube-proxy, and its ipsets. If kube-ipvs does not run on this node and left nothing, it also
removes kube-ipvs0 with the virtual servers on its addresses and on node ports. It reads the node ports from the ipsets
KUBE-NODE-PORT-*; if these no longer exist, it assumes ports 30000 to 32767 of the node's addresses and lists them. Chains of the
kubelet and of other programs stay. It cannot remove rules of iptables-legacy, but prints the command that does. Stop kube-proxy
first; the kube-ipvs daemon may keep running.`,
  options: {
    kubeProxy: booleanOption('remove what kube-proxy created, in its modes ipvs, iptables and nftables'),
    dryRun: booleanOption('print what would be removed, and remove nothing'),
    config: stringListOption('file', 'KubeProxyConfiguration file; repeatable', { completion: 'file' }),
    serviceProxyName: serviceProxyNameOption,
    output: outputOption(['text', 'json'], 'text'),
  },
  examples: [
    ['kube-ipvs cleanup --dry-run', 'show what would be removed'],
    ['kube-ipvs cleanup', 'remove it'],
    ['kube-ipvs cleanup --config=config.conf', 'keep virtual servers in its ipvs.excludeCIDRs'],
    ['kube-ipvs cleanup --service-proxy-name=trial', 'remove only what this instance created'],
    ['kube-ipvs cleanup --kube-proxy --dry-run', 'show what kube-proxy left'],
    ['kube-ipvs cleanup --kube-proxy'],
    ['kube-proxy --cleanup', 'the same where the program is installed as kube-proxy'],
  ],
  requirements: 'Needs CAP_NET_ADMIN.',
  exitStatuses: [
    'nothing is left (with --dry-run: nothing would be left)',
    'something is left, or another error',
    'invalid command line',
  ],
  run: async (_, { kubeProxy, dryRun, config, serviceProxyName, output }) => {
    const { parseFlags } = await import('../../config/parse-flags.js');
    const { loadSettings } = await import('../../config/load-settings.js');
    const flags = [
      ...config.map((file) => `--config=${file}`),
      `--dry-run=${dryRun}`,
      ...(serviceProxyName === undefined ? [] : [`--service-proxy-name=${serviceProxyName}`]),
    ];
    const settings = loadSettings(parseFlags(flags));
    if (kubeProxy) {
      const { cleanupKubeProxy } = await import('../cleanup/kube-proxy-cleanup.js');
      return cleanupKubeProxy({ excludeCidrs: settings.excludeCidrs, dryRun, output });
    }
    const { cleanup } = await import('../cleanup/cleanup.js');
    return cleanup(settings, output);
  },
});
