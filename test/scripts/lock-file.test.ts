import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// What keeps a fresh clone installable: every lock file is complete, scripts/update-lock keeps it so, and the oldest and the
// newest npm that we support install it from an empty cache.

const root = fileURLToPath(new URL('../../..', import.meta.url));
const updateLock = join(root, 'scripts/update-lock');
const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-lock-file-'));
after(() => rmSync(scratch, { recursive: true }));

interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}
interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

const readLock = (file: string): Lock => JSON.parse(readFileSync(file, 'utf8')) as Lock;
const entriesOf = (lock: Lock) => Object.entries(lock.packages).filter(([path]) => path !== '');

const run = (command: string, args: readonly string[], cwd: string, environment: NodeJS.ProcessEnv = {}) => {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    cwd,
    env: { ...process.env, ...environment },
  });
  return { status, output: stdout + stderr };
};

// ---- every entry

const lockFiles = [
  'package-lock.json',
  ...readdirSync(join(root, 'scripts'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('package-lock.json') && !name.includes('node_modules'))
    .map((name) => join('scripts', name)),
];

for (const name of lockFiles)
  test(`${name}: every entry has a version and a checksum, and no download address`, () => {
    const entries = entriesOf(readLock(join(root, name)));
    assert.ok(entries.length > 0);
    for (const [path, { version, integrity, resolved }] of entries) {
      assert.match(version ?? '', /^\d+\.\d+\.\d+/, path);
      assert.match(integrity ?? '', /^sha512-/, path);
      assert.equal(resolved, undefined, path);
    }
  });

// ---- scripts/update-lock

const project = (name: string, lock?: unknown): string => {
  const folder = join(scratch, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{"name": "example", "version": "1.0.0", "private": true}');
  if (lock !== undefined) writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
  return folder;
};

const complete = { version: '1.2.3', integrity: `sha512-${'a'.repeat(86)}==` };
const flaws: readonly (readonly [name: string, entry: LockEntry, message: RegExp])[] = [
  ['no version', { integrity: complete.integrity }, /node_modules\/x: no version/],
  ['no checksum', { version: '1.2.3' }, /node_modules\/x: no sha512 checksum/],
  ['a weak checksum', { version: '1.2.3', integrity: 'sha1-abc' }, /node_modules\/x: no sha512 checksum/],
  [
    'an address',
    { ...complete, resolved: 'https://example.com/x.tgz' },
    /node_modules\/x: has a download address/,
  ],
];
for (const [name, entry, message] of flaws)
  test(`update-lock --check finds an entry with ${name}`, () => {
    const packages = { '': {}, 'node_modules/good': complete, 'node_modules/x': entry };
    const folder = project(name.replaceAll(' ', '-'), { lockfileVersion: 3, packages });
    const { status, output } = run(updateLock, ['--check', '--prefix', folder], root);
    assert.equal(status, 1, output);
    assert.match(output, message);
    assert.doesNotMatch(output, /good/);
  });

test('update-lock --check passes this lock file', () => {
  assert.deepEqual(run(updateLock, ['--check'], root), { status: 0, output: '' });
});

test('update-lock keeps entries for other platforms complete, whatever the settings of the user are', () => {
  const folder = project('updated');
  const { status, output } = run(updateLock, ['--prefix', folder, 'esbuild@0.28.2'], root, {
    npm_config_omit_lockfile_registry_resolved: 'true',
  });
  assert.equal(status, 0, output);
  const entries = entriesOf(readLock(join(folder, 'package-lock.json')));
  const platforms = new Set(
    entries.flatMap(([, { os = [], cpu = [] }]) => os.map((name) => `${name}-${cpu.join()}`)),
  );
  for (const platform of ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'])
    assert.ok(platforms.has(platform), platform);
  for (const [path, { version, integrity, resolved }] of entries) {
    assert.equal(version, '0.28.2', path);
    assert.match(integrity ?? '', /^sha512-/, path);
    assert.equal(resolved, undefined, path);
  }
});

test('update-lock completes a lock file that npm refuses, and changes nothing else', () => {
  const folder = project('refused');
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  const good = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const packages = { ...(JSON.parse(good) as Lock).packages };
  for (const [path, { os = [] }] of Object.entries(packages))
    if (os.length > 0 && !os.includes('linux')) packages[path] = { optional: true, os };
  writeFileSync(
    join(folder, 'package-lock.json'),
    JSON.stringify({ ...(JSON.parse(good) as Lock), packages }),
  );
  assert.equal(run('npm', ['ci', '--dry-run'], folder).status, 1);
  const { status, output } = run(updateLock, ['--prefix', folder], root);
  assert.equal(status, 0, output);
  assert.equal(readFileSync(join(folder, 'package-lock.json'), 'utf8'), good);
});

// ---- a fresh clone

/** The oldest npm that we support, which comes with Node.js 20.20, and the newest of the line after it. */
const npmVersions = { 'npm-10': '10.8.2', 'npm-11': '^11.0.0' };
const npms = join(scratch, 'npms');

before(() => {
  const packages = Object.entries(npmVersions).map(([name, range]) => `${name}@npm:npm@${range}`);
  const options = ['--prefix', npms, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, output } = run('npm', ['install', ...options, ...packages], scratch);
  assert.equal(status, 0, output);
});

/** What .gitignore names is in no clone. */
const ignored = new Set([
  '.git',
  ...readFileSync(join(root, '.gitignore'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.replace(/\/$/, '')),
]);

const clone = (name: string): string => {
  const folder = join(scratch, name);
  cpSync(root, folder, {
    recursive: true,
    filter: (source) => !ignored.has(relative(root, source)) && !source.endsWith('.node'),
  });
  return folder;
};

const isForThisPlatform = ({ os = [process.platform], cpu = [process.arch] }: LockEntry): boolean =>
  os.includes(process.platform) && cpu.includes(process.arch);

for (const name of Object.keys(npmVersions))
  test(`${name} installs a fresh clone from an empty cache`, (t) => {
    const program = join(npms, 'node_modules', name, 'bin/npm-cli.js');
    const { output: version } = run(process.execPath, [program, '--version'], scratch);
    t.diagnostic(`npm ${version.trim()}`);
    assert.match(version, name === 'npm-10' ? /^10\.8\.2\n$/ : /^11\.\d+\.\d+\n$/);

    const folder = clone(name);
    const cache = join(scratch, `${name}-cache`);
    const { status, output } = run(
      process.execPath,
      [program, 'ci', '--cache', cache, '--loglevel=error'],
      folder,
    );
    assert.equal(status, 0, output);
    for (const [path, entry] of entriesOf(readLock(join(root, 'package-lock.json')))) {
      // A package for another C library is optional, and this machine has one of them.
      if (!isForThisPlatform(entry) || path.includes('musl')) continue;
      const manifest = JSON.parse(readFileSync(join(folder, path, 'package.json'), 'utf8')) as LockEntry;
      assert.equal(manifest.version, entry.version, path);
    }
    const esbuild = run(join(folder, 'node_modules/.bin/esbuild'), ['--version'], folder);
    assert.deepEqual(esbuild, { status: 0, output: '0.28.2\n' });
    rmSync(cache, { recursive: true });
  });
