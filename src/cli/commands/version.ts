import { release } from 'node:os';
import { releaseDate, version } from '../../base/version.js';
import { defineCommand, outputOption } from '../framework/command.js';

export const versionCommand = defineCommand({
  name: 'version',
  summary: 'Print the versions of kube-ipvs, Node.js and the kernel',
  options: { output: outputOption(['text', 'json'], 'text') },
  examples: [['kube-ipvs version'], ['kube-ipvs version -o json | jq -r .version']],
  exitStatuses: ['success', 'error', 'invalid command line'],
  run: async (_, { output }) => {
    const versions = { version, date: releaseDate, node: process.version, kernel: release() };
    process.stdout.write(
      output === 'json'
        ? `${JSON.stringify(versions, undefined, 2)}\n`
        : `kube-ipvs v${version} of ${releaseDate} (Node.js ${process.version}, kernel ${release()})\n`,
    );
    return 0;
  },
});
