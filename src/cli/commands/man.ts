import { releaseDate, version } from '../../base/version.js';
import { defineCommand } from '../framework/command.js';

export const manCommand = defineCommand({
  name: 'man',
  summary: 'Prints the man page kube-ipvs(8): every command, flag, file and exit status.',
  options: {},
  examples: [
    ['kube-ipvs man | man -l -', 'to read it'],
    ['kube-ipvs man > /usr/local/share/man/man8/kube-ipvs.8', 'so that man kube-ipvs finds it'],
  ],
  exitStatuses: ['done', 'an error', 'called wrongly'],
  run: async () => {
    const { manPage } = await import('../help/man-page.js');
    const { commands } = await import('./registry.js');
    process.stdout.write(manPage(commands, { version, date: releaseDate }));
    return 0;
  },
});
