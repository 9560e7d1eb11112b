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

/** The installed packages of files, by path. One query for all: each reads dpkg's lists of all files. */
const installedPackagesOf = (paths) => {
  if (paths.length === 0) return new Map();
  // Lines such as `libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6`; none for a path that no package has.
  const lines = query('--search', ...paths.flatMap(registeredPaths))
    .stdout.trimEnd()
    .split('\n');
  const owners = new Map(lines.map((line) => line.split(': ').toReversed()));
  const owned = paths.map((path) => [
    path,
    registeredPaths(path)
      .map((each) => owners.get(each))
      .find(Boolean),
  ]);
  const [lost] = owned.find(([, owner]) => owner === undefined) ?? [];
  if (lost !== undefined)
    throw new Error(`${lost} is of no Debian package; the image takes its libraries from Debian`);
  const format = '${binary:Package} ${Package} ${Version} ${Architecture}\n';
  const shown = query('--show', '--showformat', format, ...new Set(owned.map(([, owner]) => owner))).stdout;
  const packages = new Map(
    shown
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' '))
      .map(([owner, name, version, architecture]) => [
        owner,
        { name, version, architecture, copyright: `/usr/share/doc/${name}/copyright` },
      ]),
  );
  return new Map(owned.map(([path, owner]) => [path, packages.get(owner)]));
};

const foreignPackageOf = (path, home) => {
  const relative = path.slice(join(home, 'root/').length);
  const lines = readFileSync(join(home, 'files.tsv'), 'utf8').split('\n');
  const [, name, version, architecture] = lines
    .map((line) => line.split('\t'))
    .find(([file]) => file === relative);
  return { name, version, architecture, copyright: join(home, `root/usr/share/doc/${name}/copyright`) };
};

const foreignHomeOf = (path) => [...memoized.values()].find((directory) => path.startsWith(`${directory}/`));

/**
 * The packages of files, each once, by name: `{ name, version, architecture, copyright }`, where `copyright` is the file with its
 * licences (Debian policy 12.5). Throws if a file is of no Debian package.
 */
export const debianPackagesOf = (paths) => {
  const installed = installedPackagesOf(paths.filter((path) => foreignHomeOf(path) === undefined));
  const packages = paths.map((path) => installed.get(path) ?? foreignPackageOf(path, foreignHomeOf(path)));
  const found = new Map(packages.map((known) => [known.name, known]));
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
};
