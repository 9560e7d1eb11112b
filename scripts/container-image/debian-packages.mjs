// The Debian packages that files come from: files of this machine, or those of scripts/debian-libraries for another architecture.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../debian-libraries', import.meta.url));
const memoized = new Map();
const once = (key, compute) => {
  if (!memoized.has(key)) memoized.set(key, compute());
  return memoized.get(key);
};

const foreignHome = (arch) => once(arch, () => execFileSync(script, [arch], { encoding: 'utf8' }).trim());

/** The root directory with the shared libraries of another architecture (x64, arm64). */
export const foreignRoot = (arch) => join(foreignHome(arch), 'root');

const query = (...args) => spawnSync('dpkg-query', args, { encoding: 'utf8' });

/** The paths under which dpkg may know a file: /lib is a link to /usr/lib, and packages have files in both. */
const registeredPaths = (path) => {
  const real = realpathSync(path);
  return real.startsWith('/usr/') ? [real, real.slice('/usr'.length)] : [real, `/usr${real}`];
};

const installedPackageOf = (path) => {
  for (const registered of registeredPaths(path)) {
    const { status, stdout } = query('--search', registered);
    if (status !== 0) continue;
    const [found] = stdout.split(': ');
    const fields = query('--show', '--showformat', '${Package} ${Version} ${Architecture}', found);
    const [name, version, architecture] = fields.stdout.split(' ');
    return { name, version, architecture, copyright: `/usr/share/doc/${name}/copyright` };
  }
  throw new Error(`${path} is of no Debian package; the image takes its libraries from Debian`);
};

const foreignPackageOf = (path, home) => {
  const relative = path.slice(join(home, 'root/').length);
  const lines = readFileSync(join(home, 'files.tsv'), 'utf8').split('\n');
  const [, name, version, architecture] = lines
    .map((line) => line.split('\t'))
    .find(([file]) => file === relative);
  return { name, version, architecture, copyright: join(home, `root/usr/share/doc/${name}/copyright`) };
};

const packageOf = (path) => {
  const home = [...memoized.values()].find((directory) => path.startsWith(`${directory}/`));
  return home === undefined ? installedPackageOf(path) : foreignPackageOf(path, home);
};

/**
 * The packages of files, each once, by name: `{ name, version, architecture, copyright }`, where `copyright` is the file with its
 * licences (Debian policy 12.5). Throws if a file is of no Debian package.
 */
export const debianPackagesOf = (paths) => {
  const found = new Map(paths.map(packageOf).map((known) => [known.name, known]));
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
};
