import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const script = join(root, 'scripts/image');
const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const storedName = `docker.io/library/kube-ipvs:${version}`;
const { fullName } = (await import(join(root, 'scripts/container-image/image-name.mjs'))) as {
  fullName: (name: string) => string;
};
const work = mkdtempSync(join(tmpdir(), 'image-test-'));

const descriptor = z.object({ mediaType: z.string(), digest: z.string(), size: z.number() });
const indexShape = z.object({
  manifests: z.tuple([descriptor.extend({ annotations: z.record(z.string(), z.string()) })]),
});
const manifestShape = z.object({ config: descriptor, layers: z.array(descriptor) });
const configShape = z.object({
  architecture: z.string(),
  config: z.object({
    User: z.string(),
    Env: z.array(z.string()),
    Entrypoint: z.array(z.string()),
    WorkingDir: z.string(),
  }),
  rootfs: z.object({ diff_ids: z.array(z.string()) }),
});
const savedShape = z.tuple([
  z.object({ Config: z.string(), RepoTags: z.array(z.string()), Layers: z.array(z.string()) }),
]);

type Descriptor = z.infer<typeof descriptor>;
const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const pathOf = ({ digest }: Descriptor): string => `blobs/${digest.replace(':', '/')}`;
const layout = (path: string): Buffer => readFileSync(join(work, 'image', path));
const json = (path: string): unknown => JSON.parse(layout(path).toString());

/** A blob whose size and digest match its descriptor. */
const blob = (of: Descriptor): Buffer => {
  const bytes = layout(pathOf(of));
  assert.equal(sha256(bytes), of.digest);
  assert.equal(bytes.length, of.size);
  return bytes;
};

const build = (output: string): string =>
  execFileSync(script, ['--output', output], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
const image = () => {
  const [top] = indexShape.parse(json('index.json')).manifests;
  const manifest = manifestShape.parse(JSON.parse(blob(top).toString()));
  return { top, manifest, config: configShape.parse(JSON.parse(blob(manifest.config).toString())) };
};

before(() => void build(work));
after(() => rmSync(work, { recursive: true }));

test('the layout is complete: every descriptor matches its blob, and there are no other blobs', () => {
  const { top, manifest, config } = image();
  assert.deepEqual(
    manifest.layers.map((layer) => sha256(gunzipSync(blob(layer)))),
    config.rootfs.diff_ids,
  );
  const named = [top, manifest.config, ...manifest.layers].map(({ digest }) =>
    digest.slice('sha256:'.length),
  );
  assert.deepEqual(readdirSync(join(work, 'image/blobs/sha256')).toSorted(), named.toSorted());
});

test('its stored name is the one that a kubelet looks up: the name in the manifests, with the registry', () => {
  const manifest = readFileSync(join(root, 'deploy/base/daemonset.yaml'), 'utf8');
  const used = [...manifest.matchAll(/image: "(.*)"/g)].map(([, name]) => `docker.io/library/${name}`);
  assert.deepEqual(new Set(used), new Set([storedName]));
  assert.deepEqual(image().top.annotations, {
    'io.containerd.image.name': storedName,
    'org.opencontainers.image.ref.name': version,
  });
});

test('a name is completed as by container runtimes', () => {
  const names: readonly (readonly [given: string, full: string])[] = [
    ['kube-ipvs', 'docker.io/library/kube-ipvs:latest'],
    ['kube-ipvs:1.0', 'docker.io/library/kube-ipvs:1.0'],
    ['docker.io/kube-ipvs:1.0', 'docker.io/library/kube-ipvs:1.0'],
    ['docker.io/library/kube-ipvs:1.0', 'docker.io/library/kube-ipvs:1.0'],
    ['team/kube-ipvs:1.0', 'docker.io/team/kube-ipvs:1.0'],
    ['localhost/kube-ipvs', 'localhost/kube-ipvs:latest'],
    ['registry:5000/kube-ipvs', 'registry:5000/kube-ipvs:latest'],
    ['registry.example.org/net/kube-ipvs:1.0', 'registry.example.org/net/kube-ipvs:1.0'],
  ];
  for (const [given, full] of names) assert.equal(fullName(given), full);
});

test('the archive contains the layout and the files that docker load reads', () => {
  const inArchive = (path: string): Buffer =>
    execFileSync('tar', ['-xOf', join(work, 'image.tar'), path], { maxBuffer: 1e9 });
  const { manifest } = image();
  const [saved] = savedShape.parse(JSON.parse(inArchive('manifest.json').toString()));
  assert.deepEqual(saved, {
    Config: pathOf(manifest.config),
    RepoTags: [storedName],
    Layers: manifest.layers.map(pathOf),
  });
  for (const part of [manifest.config, ...manifest.layers])
    assert.equal(sha256(inArchive(pathOf(part))), part.digest);
  assert.deepEqual(inArchive('index.json'), layout('index.json'));
});

test('a second build has the same digest', () => {
  const again = mkdtempSync(join(tmpdir(), 'image-test-'));
  try {
    assert.ok(build(again).includes(image().top.digest));
    assert.equal(
      sha256(readFileSync(join(again, 'image.tar'))),
      sha256(readFileSync(join(work, 'image.tar'))),
    );
  } finally {
    rmSync(again, { recursive: true });
  }
});

test('it contains Node.js and the program under both names, but no shell and no package manager', () => {
  const files = image().manifest.layers.flatMap((layer) =>
    execFileSync('tar', ['-tz'], { input: blob(layer), encoding: 'utf8', maxBuffer: 1e9 })
      .trim()
      .split('\n'),
  );
  for (const path of ['usr/bin/node', 'usr/local/bin/kube-ipvs', 'usr/local/bin/kube-proxy', 'etc/passwd'])
    assert.ok(files.includes(path), path);
  const programs = files.filter((path) => /\bbin\/./.test(path));
  assert.deepEqual(programs.toSorted(), [
    'usr/bin/node',
    'usr/local/bin/kube-ipvs',
    'usr/local/bin/kube-proxy',
  ]);
});

test('image.tar has less than 50 MB', () => {
  assert.ok(statSync(join(work, 'image.tar')).size < 50e6);
});

test('the Containerfile and scripts/image start the same program', () => {
  const lines = readFileSync(join(root, 'deploy/Containerfile'), 'utf8').split('\n');
  const last = (word: string): string | undefined =>
    lines.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
  const { User, Env, Entrypoint, WorkingDir } = image().config.config;
  assert.deepEqual(
    {
      User: last('USER'),
      Env: last('ENV')?.split(' '),
      Entrypoint: last('ENTRYPOINT'),
      WorkingDir: last('WORKDIR'),
    },
    { User, Env, Entrypoint: JSON.stringify(Entrypoint), WorkingDir },
  );
  // scripts/image also writes its files; test/kernel/image.test.ts runs them.
  assert.ok(lines.some((line) => line.endsWith('scripts/image --root /image')));
  // scripts/image puts it into the image.
  assert.ok(lines.some((line) => /^COPY .*\bLICENSE\b/.test(line)));
  for (const line of lines)
    for (const source of /^COPY ((?!--).*) \S+$/.exec(line)?.[1]?.split(' ') ?? [])
      assert.ok(readdirSync(root).includes(source), source);
});

test('--help lists the options, and an unknown option is rejected', () => {
  assert.match(execFileSync(script, ['--help'], { encoding: 'utf8' }), /^Usage: scripts\/image/);
  for (const args of [['--nonsense'], ['--user', '1'], ['--image', 'x']]) {
    const { status, stderr } = spawnSync(script, args, { encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^image: .*--/);
  }
});
