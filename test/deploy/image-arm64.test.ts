import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

// Runs the files of the arm64 image, directly on arm64, else under qemu-user (package qemu-user-static).

const root = fileURLToPath(new URL('../../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'image-arm64-'));
const files = join(work, 'root');
after(() => rmSync(work, { recursive: true }));

const inArchive = (path: string): Buffer =>
  execFileSync('tar', ['-xOf', join(work, 'image.tar'), path], { maxBuffer: 1e9 });
const json = (path: string): unknown => JSON.parse(inArchive(path).toString());
const saved = () =>
  z.tuple([z.object({ Config: z.string(), Layers: z.array(z.string()) })]).parse(json('manifest.json'))[0];

before(() => {
  execFileSync(join(root, 'scripts/image'), ['--arch', 'arm64', '--output', work], { stdio: 'pipe' });
  mkdirSync(files);
  for (const layer of saved().Layers)
    execFileSync('tar', ['-xz', '-C', files], {
      input: inArchive(layer),
      stdio: ['pipe', 'inherit', 'inherit'],
    });
});

const run = (...args: readonly string[]) => {
  const node = ['-L', files, join(files, 'usr/bin/node'), ...args];
  return spawnSync('qemu-aarch64-static', node, { encoding: 'utf8', cwd: root });
};
const program = (...args: readonly string[]) => run(join(files, 'usr/local/bin/kube-ipvs'), ...args);

test('the image declares arm64, and every binary in it is for arm64', () => {
  const { architecture } = z.object({ architecture: z.string() }).parse(json(saved().Config));
  assert.equal(architecture, 'arm64');
  const binaries = readdirSync(files, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: path.slice(files.length + 1), head: readFileSync(path).subarray(0, 20) }))
    .filter(({ head }) => head.subarray(0, 4).equals(Buffer.from('\x7fELF')));
  for (const { path, head } of binaries)
    assert.equal(head.readUInt16LE(18), 183, `${path}: e_machine (elf.h)`);
  const paths = binaries.map(({ path }) => path);
  for (const path of [
    'usr/bin/node',
    'lib/ld-linux-aarch64.so.1',
    'lib/aarch64-linux-gnu/libatomic.so.1',
    'usr/lib/kube-ipvs/dist/native-shims.node',
    'usr/lib/kube-ipvs/dist/netlink.node',
  ])
    assert.ok(paths.includes(path), path);
});

test('--version and dump --help print the same text as on this machine', () => {
  for (const args of [['--version'], ['dump', '--help']]) {
    const { status, stdout, stderr } = program(...args);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, execFileSync(join(root, 'dist/kube-ipvs.js'), args, { encoding: 'utf8' }));
  }
});

test('render prints the same plan as on this machine', () => {
  const args = ['render', '-f', 'examples'];
  const { status, stdout, stderr } = program(...args);
  assert.equal(status, 0, stderr);
  const here = execFileSync(join(root, 'dist/kube-ipvs.js'), args, { encoding: 'utf8', cwd: root });
  assert.match(here, /10\.96\.88\.88/);
  assert.equal(stdout, here);
});

test('both native modules load, and a netlink socket opens', () => {
  const home = join(files, 'usr/lib/kube-ipvs');
  const { status, stdout, stderr } = run(
    '-e',
    `require(process.argv[1] + '/dist/netlink.node');
     const shims = require(process.argv[1] + '/dist/native-shims.node');
     const route = 0;
     console.log(process.arch, shims.portId(shims.openSocket(route)) > 0);`,
    home,
  );
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'arm64 true\n' }, stderr);
});
