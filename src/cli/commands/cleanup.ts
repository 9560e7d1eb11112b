import { command, flag, texts } from '../command.js';

export const cleanupCommand = command({
  name: 'cleanup',
  summary: 'Removes from this node what kube-ipvs has made, and nothing else.',
  about: `Removes its virtual servers (those that its packet rules name, and those on addresses of kube-ipvs0), the interface
kube-ipvs0 with its addresses, its rules in chains of others (forwarding.acceptInForeignChains), and the nftables tables
ip and ip6 kube-ipvs. Virtual servers, addresses and tables of others stay, and so do kernel settings (sysctl). Asks no API
server. Stop the daemon first: it would put everything back.`,
  options: {
    dryRun: flag('print what would be removed and touch nothing'),
    config: texts('file', 'KubeProxyConfiguration; repeatable', { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs cleanup --dry-run', 'what would go'],
    ['kube-ipvs cleanup'],
    ['kube-ipvs cleanup --config=config.conf', 'leave virtual servers in its ipvs.excludeCIDRs'],
    ['kube-proxy --cleanup', 'the same, where kube-ipvs is called as kube-proxy'],
  ],
  needs: 'Needs CAP_NET_ADMIN.',
  exitStatuses: ['nothing is left', 'something is, and why, or another error', 'called wrongly'],
  run: async (_, { dryRun, config }) => {
    const { parseFlags } = await import('../../config/flags.js');
    const { loadSettings } = await import('../../config/load-settings.js');
    const { cleanup } = await import('../cleanup.js');
    const flags = [...config.map((file) => `--config=${file}`), `--dry-run=${dryRun}`];
    return cleanup(loadSettings(parseFlags(flags)));
  },
});
