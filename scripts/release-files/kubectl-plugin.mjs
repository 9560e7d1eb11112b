// The kubectl plugin of a release: the program without its native modules, which the commands for all nodes do not load. So the same
// archive is for every platform that has Node.js and a shell.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { archiveOf, filesBelow } from './archive.mjs';

const platforms = ['linux', 'darwin'].flatMap((os) => ['amd64', 'arm64'].map((arch) => [os, arch]));
const programs = ['kubectl-kube_ipvs', 'kubectl_complete-kube_ipvs'];

export const pluginArchive = (root) => {
  const read = (path) => readFileSync(join(root, path));
  return archiveOf(
    [
      ...programs.map((name) => [name, read(`deploy/kubectl-plugin/${name}`)]),
      ['LICENSE', read('LICENSE')],
      ['THIRD-PARTY-NOTICES.txt', read('dist/THIRD-PARTY-NOTICES.txt')],
      ['fleet.md', read('docs/fleet.md')],
      ['dist/package.json', '{"type":"module"}\n'],
      ['dist/kubectl-kube_ipvs.js', read('dist/kube-ipvs.js')],
      ...filesBelow(join(root, 'dist/chunks'), 'dist/chunks'),
    ],
    programs,
  );
};

/** The manifest of krew for an archive with this checksum. */
export const krewManifest = (root, { version, checksum }) => {
  const template = readFileSync(join(root, 'deploy/kubectl-plugin/krew.yaml'), 'utf8')
    .replace(/^#.*\n/, '')
    .replaceAll('VERSION', version)
    .replace('SHA256', checksum);
  const at = template.indexOf('    - selector:');
  const platform = template.slice(at);
  const list = platforms.map(([os, arch]) => platform.replace('OS', os).replace('ARCH', arch));
  return template.slice(0, at) + list.join('');
};
