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

const { version, description, license } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);
const { values } = parseArgs({
  options: {
    name: { type: 'string', default: `kube-ipvs:${version}` },
    output: { type: 'string', default: 'dist' },
    root: { type: 'string' },
    arch: { type: 'string', multiple: true, default: [process.arch] },
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
  for (const { entries } of imageLayers(values.arch[0])) {
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

const created = '1970-01-01T00:00:00Z';

const pathOf = ({ digest }) => `blobs/${digest.replace(':', '/')}`;

/** The image for one architecture: its blobs by path, and the descriptor of its manifest. */
const buildImage = (arch) => {
  const blobs = new Map();
  const descriptor = (type, bytes) => {
    const described = { mediaType: mediaType(type), digest: digestOf(bytes), size: bytes.length };
    blobs.set(pathOf(described), bytes);
    return described;
  };
  const layers = imageLayers(arch).map(({ what, entries }) => {
    const archive = tarOf(entries);
    return {
      what,
      diffId: digestOf(archive),
      size: archive.length,
      blob: descriptor('layer.v1.tar+gzip', gzipSync(archive, { level: 6 })),
    };
  });
  const config = descriptor('config.v1+json', json(configOf(arch, layers)));
  const manifest = descriptor(
    'manifest.v1+json',
    json({
      schemaVersion: 2,
      mediaType: mediaType('manifest.v1+json'),
      config,
      layers: layers.map(({ blob }) => blob),
    }),
  );
  return { arch, blobs, layers, config, manifest };
};

const configOf = (arch, layers) => ({
  created,
  architecture: architectures[arch],
  os: 'linux',
  config: {
    User: imageUser,
    // One arena of the C library for all threads of V8: several keep more free memory.
    Env: ['PATH=/usr/local/bin:/usr/bin', 'MALLOC_ARENA_MAX=1'],
    Entrypoint: ['/usr/local/bin/kube-ipvs'],
    WorkingDir: '/',
    Labels: {
      'org.opencontainers.image.title': 'kube-ipvs',
      'org.opencontainers.image.description': description,
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': license,
    },
  },
  rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  history: layers.map(({ what }) => ({ created, created_by: 'scripts/image', comment: what })),
});

const annotations = {
  // The tag, by which skopeo chooses an image in a layout.
  'org.opencontainers.image.ref.name': name.split(':').at(-1),
  // The name that ctr, podman and docker with containerd's store give an imported image.
  'io.containerd.image.name': name,
};

const indexOf = (manifests) => json({ schemaVersion: 2, mediaType: mediaType('index.v1+json'), manifests });

/** An OCI image layout. Its only entry is the image, or for several architectures their image index. */
const layoutOf = (images) => {
  const blobs = images.flatMap((image) => [...image.blobs]);
  const platformed = images.map(({ arch, manifest }) => ({
    ...manifest,
    platform: { architecture: architectures[arch], os: 'linux' },
  }));
  const nested = indexOf(platformed);
  const entry =
    images.length === 1
      ? images[0].manifest
      : { mediaType: mediaType('index.v1+json'), digest: digestOf(nested), size: nested.length };
  return {
    entry,
    files: new Map([
      ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
      ['index.json', indexOf([{ ...entry, annotations }])],
      ...(images.length === 1 ? [] : [[pathOf(entry), nested]]),
      ...blobs,
    ]),
  };
};

/** In addition to the layout, the format of `docker save` for `docker load` and `podman load`, which knows one architecture. */
const savedFiles = ([image, ...more]) =>
  more.length > 0
    ? []
    : [
        [
          'manifest.json',
          json([
            {
              Config: pathOf(image.config),
              RepoTags: [name],
              Layers: image.layers.map(({ blob }) => pathOf(blob)),
            },
          ]),
        ],
      ];

const writeLayout = (directory, files) => {
  const temporary = `${directory}.${process.pid}`;
  mkdirSync(join(temporary, 'blobs/sha256'), { recursive: true });
  for (const [path, bytes] of files) writeFileSync(join(temporary, path), bytes);
  rmSync(directory, { recursive: true, force: true });
  renameSync(temporary, directory);
};

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Writes DIR/image and DIR/image.tar, and prints what is in them. */
const writeImage = (output) => {
  const images = values.arch.map(buildImage);
  const { entry, files: layout } = layoutOf(images);
  mkdirSync(output, { recursive: true });
  writeLayout(join(output, 'image'), layout);
  const directories = ['blobs', 'blobs/sha256'].map((path) => ({ path, kind: 'directory', mode: 0o755 }));
  const files = [...layout, ...savedFiles(images)].map(([path, content]) => ({
    path,
    kind: 'file',
    mode: 0o644,
    content,
  }));
  writeFileSync(join(output, `image.tar.${process.pid}`), tarOf([...directories, ...files]));
  renameSync(join(output, `image.tar.${process.pid}`), join(output, 'image.tar'));
  for (const { arch, layers } of images)
    for (const { what, size, blob } of layers)
      console.log(
        `${architectures[arch]} ${what.padEnd(10)} ${megabytes(size)}, ${megabytes(blob.size)} compressed`,
      );
  console.log(`${name} ${entry.digest}\n${join(output, 'image')}\n${join(output, 'image.tar')}`);
};

if (values.root === undefined) writeImage(resolve(values.output));
else writeRoot(values.root);
