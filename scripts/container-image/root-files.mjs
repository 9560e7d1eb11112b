// The contents of the container image: two layers of tar entries (tar.mjs). The first has Node.js and its libraries, the second
// kube-ipvs, so a new version changes only the small layer.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianPackagesOf, foreignRoot } from './debian-packages.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The user of the image; no user of a node has this number. */
const userId = 65532;
/**
 * User and group. Group root may read the names of the tables of iptables-legacy (/proc/net/ip_tables_names, 0440); nothing
 * else in the container needs it.
 */
export const imageUser = `${userId}:0`;
const home = 'usr/lib/kube-ipvs';

const file = (path, content, mode = 0o644) => ({
  path,
  kind: 'file',
  mode,
  content: Buffer.isBuffer(content) ? content : Buffer.from(content),
});
const directory = (path, mode = 0o755, owner = 0) => ({ path, kind: 'directory', mode, owner });
const link = (path, target) => ({ path, kind: 'link', mode: 0o777, target });

/**
 * CAP_NET_ADMIN as file capability, permitted and effective (struct vfs_cap_data of include/uapi/linux/capability.h,
 * revision 2). Kubernetes has no ambient capabilities, so without it a user other than root loses the capabilities of
 * `capabilities.add` at exec. The file has no other capability, because exec fails if one is not in the bounding set.
 */
const netAdmin = () => {
  const [revision2, effective, capNetAdmin] = [0x02000000, 1, 12];
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(revision2 | effective, 0);
  bytes.writeUInt32LE(1 << capNetAdmin, 4);
  return bytes;
};

/** Without LD_PRELOAD, which ldd would list among the libraries. */
const environment = { ...process.env, LD_PRELOAD: undefined };
const output = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', env: environment });

/** Debian's names of an architecture's tools and libraries. */
const triples = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

const stripped = (path, arch) => {
  const directory = mkdtempSync(join(tmpdir(), 'kube-ipvs-image-'));
  try {
    output(
      arch === process.arch ? 'strip' : `${triples[arch]}-strip`,
      '-o',
      join(directory, 'stripped'),
      path,
    );
    return readFileSync(join(directory, 'stripped'));
  } finally {
    rmSync(directory, { recursive: true });
  }
};

/** This machine's architecture: the paths of the shared libraries of a binary and of its loader. */
const ownLibrariesOf = (path) =>
  [...output('ldd', path).matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, library]) => library);

/** Another architecture: the libraries by the names that the binary needs, and those that they need. */
const foreignLibrariesOf = (path, fileOf) => {
  const names = new Set();
  const visit = (binary) => {
    for (const [, name] of output('readelf', '-d', binary).matchAll(/\(NEEDED\).*\[(.*)\]/g))
      if (!names.has(name)) {
        names.add(name);
        visit(fileOf(name));
      }
  };
  visit(path);
  return [...names];
};

/** Where programs look for a library by its name. */
const libraryFolder = (name, arch) => {
  if (name === 'ld-linux-aarch64.so.1') return 'lib';
  return name.startsWith('ld-linux-') ? 'lib64' : `lib/${triples[arch]}`;
};

/** The shared libraries of binaries and their loader: the path where the loader looks for each, and the file here. */
const librariesOf = (binaries, arch) => {
  if (arch === process.arch)
    return new Map(binaries.flatMap(ownLibrariesOf).map((path) => [path.slice(1), path]));
  const root = foreignRoot(arch);
  const fileOf = (name) => {
    const folders = [`lib/${triples[arch]}`, `usr/lib/${triples[arch]}`];
    const found = folders.map((folder) => join(root, folder, name)).find(existsSync);
    if (found === undefined) throw new Error(`scripts/debian-libraries ${arch} has no ${name}`);
    return found;
  };
  return new Map(
    binaries
      .flatMap((binary) => foreignLibrariesOf(binary, fileOf))
      .map((name) => [`${libraryFolder(name, arch)}/${name}`, fileOf(name)]),
  );
};

const filesBelow = (path) =>
  readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));

/** The parent directories that are missing among the entries. */
const withParents = (entries) => {
  const paths = new Set(entries.map(({ path }) => path));
  const missing = new Set();
  for (const { path } of entries)
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent))
      if (!paths.has(parent)) missing.add(parent);
  return [...entries, ...[...missing].map((path) => directory(path))];
};

/** The binaries that scripts/build-native.mjs makes for an architecture, by their names in the image. */
export const nativeModules = (arch) =>
  ['native-shims.node', 'netlink.node'].map((name) => [
    name,
    join(root, 'dist', arch === process.arch ? '' : arch, name),
  ]);

const programFiles = (arch) => [
  [`${home}/LICENSE`, join(root, 'LICENSE')],
  [`${home}/dist/THIRD-PARTY-NOTICES.txt`, join(root, 'dist/THIRD-PARTY-NOTICES.txt')],
  [`${home}/dist/kube-ipvs.js`, join(root, 'dist/kube-ipvs.js')],
  ...nativeModules(arch).map(([name, path]) => [`${home}/dist/${name}`, path]),
  ...['dist/chunks', 'dist/web'].flatMap((folder) =>
    filesBelow(join(root, folder)).map((path) => [
      `${home}/${folder}/${path.slice(join(root, folder, '/').length)}`,
      path,
    ]),
  ),
];

/** The `node` of the locked version, which is the tested one, whatever this machine has. */
const shippedNode = (arch) => output(join(root, 'scripts/runtime'), '--arch', arch).trim();

/** The shared libraries of the image for an architecture: the path in the image, and the file here. */
export const imageLibraries = (arch) =>
  librariesOf([shippedNode(arch), ...nativeModules(arch).map(([, path]) => path)], arch);

const nodeLayer = (arch) => {
  const node = shippedNode(arch);
  const libraries = imageLibraries(arch);
  return withParents([
    { ...file('usr/bin/node', stripped(node, arch), 0o755), capabilities: netAdmin() },
    file('usr/share/doc/nodejs/LICENSE', readFileSync(join(dirname(node), '../LICENSE'))),
    ...[...libraries].map(([path, from]) => file(path, readFileSync(from), 0o755)),
    ...debianPackagesOf([...libraries.values()]).map(({ name, copyright }) =>
      file(`usr/share/doc/${name}/copyright`, readFileSync(copyright)),
    ),
    file('etc/passwd', `root:x:0:0::/:/none\nkube-ipvs:x:${userId}:${userId}::/:/none\n`),
    file('etc/group', `root:x:0:\nkube-ipvs:x:${userId}:\n`),
    // To resolve the name of an API server in a kubeconfig.
    file('etc/nsswitch.conf', 'hosts: files dns\n'),
    directory('tmp', 0o1777),
    // For the admin socket if the root is writable and there is no volume, as in kubeadm's DaemonSet.
    directory('run/kube-ipvs', 0o700, userId),
    // Mount points for a read-only root.
    ...['dev', 'proc', 'sys', 'var/lib/kube-proxy', 'etc/kube-ipvs'].map((path) => directory(path)),
  ]);
};

/** The first line of the script must name a file of the image, which has no /usr/bin/env. */
const programScript = (text) => text.replace(/^#!.*/, '#!/usr/bin/node');

const programLayer = (arch) =>
  withParents([
    ...programFiles(arch).map(([path, from]) =>
      path.endsWith('/kube-ipvs.js')
        ? file(path, programScript(readFileSync(from, 'utf8')), 0o755)
        : file(path, readFileSync(from)),
    ),
    file(`${home}/package.json`, '{ "type": "module" }\n'),
    link('usr/local/bin/kube-ipvs', '../../lib/kube-ipvs/dist/kube-ipvs.js'),
    // kubeadm's DaemonSet starts this name.
    link('usr/local/bin/kube-proxy', 'kube-ipvs'),
  ]);

/** The layers for an architecture (x64, arm64), lowest first. Throws if dist/ is not built or a tool is missing. */
export const imageLayers = (arch) => [
  { what: 'Node.js', entries: nodeLayer(arch) },
  { what: 'kube-ipvs', entries: programLayer(arch) },
];
