import { releaseDate, version } from '../../base/version.js';
import { defineCommand } from '../framework/command.js';

export const manCommand = defineCommand({
  name: 'man',
  summary: 'Print the man page kube-ipvs(8)',
  options: {},
  examples: [
    ['kube-ipvs man | man -l -', 'read it'],
    ['kube-ipvs man > /usr/local/share/man/man8/kube-ipvs.8', 'install it for man kube-ipvs'],
  ],
  exitStatuses: ['success', 'error', 'invalid command line'],
  run: async () => {
    const { manPage } = await import('../help/man-page.js');
    const { commands } = await import('./registry.js');
    process.stdout.write(manPage(commands, { version, date: releaseDate }));
    return 0;
  },
});
