// What a release consists of: npm packages, Node.js, the shared libraries of the image, and the C code
// of this repository. Each is `{ name, version, license, purl, hashes, within }`, where `hashes` are `{ algorithm, hex }` and
// `within` says which artefacts have it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackagesOf } from '../container-image/debian-packages.mjs';
import { imageLibraries, nativeModules } from '../container-image/root-files.mjs';

const architectures = ['x64', 'arm64'];
const everywhere = 'image, npm package, kubectl plugin';
const native = 'image, npm package';

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Subresource integrity, as in a lock file: `sha512-BASE64`. */
const hashOfIntegrity = (integrity) => ({
  algorithm: 'SHA-512',
  hex: Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex'),
});

/** Only their headers are compiled, into netlink.node; so the bundle does not have them. */
const compiledPackages = ['node-addon-api'];

/**
 * npm's own bill of materials (CycloneDX) of the lock file, without the packages whose code is not shipped. The option `--omit dev`
 * would not do: npm then also omits packages that a development dependency shares.
 */
const npmComponents = (root) => {
  const options = ['--sbom-format', 'cyclonedx', '--package-lock-only', '--offline'];
  const { components } = JSON.parse(
    execFileSync('npm', ['sbom', ...options], { cwd: root, encoding: 'utf8', maxBuffer: 1e8 }),
  );
  const bundled = JSON.parse(readFileSync(join(root, 'dist/packages.json'), 'utf8'));
  const shipped = new Set(bundled.map(({ name, version }) => `${name}@${version}`));
  const kept = components.filter(
    ({ name, version }) => shipped.has(`${name}@${version}`) || compiledPackages.includes(name),
  );
  const missing = [...shipped].filter((id) => !kept.some(({ name, version }) => `${name}@${version}` === id));
  if (missing.length > 0) throw new Error(`npm sbom does not know ${missing.join(', ')}`);
  return kept.map(({ name, version, purl, licenses, hashes }) => ({
    name,
    version,
    purl,
    license: licenses
      .map(({ license, expression }) => expression ?? license.id ?? license.name)
      .join(' AND '),
    hashes: hashes.map(({ alg, content }) => ({ algorithm: alg, hex: content })),
    within: compiledPackages.includes(name) ? native : everywhere,
  }));
};

/** Node.js from its npm package, one for each architecture. */
const nodeComponents = (root) => {
  const { packages } = JSON.parse(readFileSync(join(root, 'scripts/node-runtime/package-lock.json'), 'utf8'));
  return architectures.map((arch) => {
    const { version, integrity } = packages[`node_modules/node-linux-${arch}`];
    return {
      name: `node-linux-${arch}`,
      version,
      license: 'MIT',
      purl: `pkg:npm/node-linux-${arch}@${version}`,
      cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
      hashes: [hashOfIntegrity(integrity)],
      within: 'image',
    };
  });
};

const debianPurl = ({ name, version, architecture }) =>
  `pkg:deb/debian/${name.replaceAll('+', '%2B')}@${encodeURIComponent(version)}?arch=${architecture}`;

/** The shared libraries of the image, from Debian. */
const debianComponents = () =>
  architectures
    .flatMap((arch) => debianPackagesOf([...imageLibraries(arch).values()]))
    .map((known) => ({
      name: known.name,
      version: known.version,
      purl: debianPurl(known),
      hashes: [],
      within: 'image',
    }));

const shimComponents = (version) =>
  architectures.map((arch) => {
    const [, path] = nativeModules(arch).find(([name]) => name === 'native-shims.node');
    return {
      name: `native-shims-linux-${arch}`,
      version,
      license: 'Apache-2.0',
      purl: `pkg:generic/kube-ipvs-native-shims@${version}?arch=${arch}`,
      hashes: [{ algorithm: 'SHA-256', hex: sha256(readFileSync(path)) }],
      within: native,
    };
  });

export const componentsOf = (root, version) => [
  ...npmComponents(root),
  ...nodeComponents(root),
  ...debianComponents(),
  ...shimComponents(version),
];
