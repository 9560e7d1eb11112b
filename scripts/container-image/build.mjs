// Builds the container image; scripts/image starts this.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { fullName } from './image-name.mjs';
import { imageLayers, imageUser } from './root-files.mjs';
import { tarOf } from './tar.mjs';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);
const { values } = parseArgs({
  options: {
    name: { type: 'string', default: `kube-ipvs:${version}` },
    output: { type: 'string', default: 'dist' },
    root: { type: 'string' },
    arch: { type: 'string', default: process.arch },
  },
});

const name = fullName(values.name);
const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const json = (value) => Buffer.from(JSON.stringify(value));
/** The names of the image specification (GOARCH). */
const architectures = { x64: 'amd64', arm64: 'arm64' };

/** Unpacks the layers in order, with file capabilities. */
const writeRoot = (directory) => {
  mkdirSync(directory);
  for (const { entries } of imageLayers(values.arch)) {
    const options = ['--xattrs', '--xattrs-include=security.capability', '--same-owner', '-p'];
    const { status } = spawnSync('tar', ['-x', ...options, '-C', directory], {
      input: tarOf(entries),
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    if (status !== 0) throw new Error(`tar could not unpack to ${directory}`);
  }
};

/** The image specification's media types and names (opencontainers image-spec v1). */
const mediaType = (what) => `application/vnd.oci.image.${what}`;

const buildImage = () => {
  const blobs = new Map();
  const descriptor = (type, bytes) => {
    const digest = digestOf(bytes);
    blobs.set(`blobs/${digest.replace(':', '/')}`, bytes);
    return { mediaType: mediaType(type), digest, size: bytes.length };
  };
  const layers = imageLayers(values.arch).map(({ what, entries }) => {
    const archive = tarOf(entries);
    return {
      what,
      diffId: digestOf(archive),
      size: archive.length,
      blob: descriptor('layer.v1.tar+gzip', gzipSync(archive, { level: 6 })),
    };
  });
  const created = '1970-01-01T00:00:00Z';
  const config = descriptor(
    'config.v1+json',
    json({
      created,
      architecture: architectures[values.arch],
      os: 'linux',
      config: {
        User: imageUser,
        Env: ['PATH=/usr/local/bin:/usr/bin'],
        Entrypoint: ['/usr/local/bin/kube-ipvs'],
        WorkingDir: '/',
        Labels: {
          'org.opencontainers.image.title': 'kube-ipvs',
          'org.opencontainers.image.description': description,
          'org.opencontainers.image.version': version,
        },
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(({ what }) => ({ created, created_by: 'scripts/image', comment: what })),
    }),
  );
  const manifest = descriptor(
    'manifest.v1+json',
    json({
      schemaVersion: 2,
      mediaType: mediaType('manifest.v1+json'),
      config,
      layers: layers.map(({ blob }) => blob),
    }),
  );
  const annotations = {
    // The tag, by which skopeo chooses an image in a layout.
    'org.opencontainers.image.ref.name': name.split(':').at(-1),
    // The name that ctr, podman and docker with containerd's store give an imported image.
    'io.containerd.image.name': name,
  };
  const layout = new Map([
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
    [
      'index.json',
      json({
        schemaVersion: 2,
        mediaType: mediaType('index.v1+json'),
        manifests: [{ ...manifest, annotations }],
      }),
    ],
    ...blobs,
  ]);
  // In addition to the layout, the format of `docker save` for `docker load` and `podman load`.
  const path = ({ digest }) => `blobs/${digest.replace(':', '/')}`;
  const saved = [{ Config: path(config), RepoTags: [name], Layers: layers.map(({ blob }) => path(blob)) }];
  return { layout, archive: new Map([...layout, ['manifest.json', json(saved)]]), layers, manifest };
};

const writeLayout = (directory, files) => {
  const temporary = `${directory}.${process.pid}`;
  mkdirSync(join(temporary, 'blobs/sha256'), { recursive: true });
  for (const [path, bytes] of files) writeFileSync(join(temporary, path), bytes);
  rmSync(directory, { recursive: true, force: true });
  renameSync(temporary, directory);
};

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

if (values.root === undefined) {
  const { layout, archive, layers, manifest } = buildImage();
  const output = resolve(values.output);
  mkdirSync(output, { recursive: true });
  writeLayout(join(output, 'image'), layout);
  const directories = ['blobs', 'blobs/sha256'].map((path) => ({ path, kind: 'directory', mode: 0o755 }));
  const files = [...archive].map(([path, content]) => ({ path, kind: 'file', mode: 0o644, content }));
  writeFileSync(join(output, `image.tar.${process.pid}`), tarOf([...directories, ...files]));
  renameSync(join(output, `image.tar.${process.pid}`), join(output, 'image.tar'));
  for (const { what, size, blob } of layers)
    console.log(`${what.padEnd(10)} ${megabytes(size)}, ${megabytes(blob.size)} compressed`);
  console.log(`${name} ${manifest.digest}\n${join(output, 'image')}\n${join(output, 'image.tar')}`);
} else writeRoot(values.root);
