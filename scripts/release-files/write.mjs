// Writes the files of a release to a new directory; scripts/release starts this after it has built the image.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cycloneDx, spdx } from './bills-of-materials.mjs';
import { chartPackage } from './chart-package.mjs';
import { componentsOf, sha256 } from './components.mjs';
import { krewManifest, pluginArchive } from './kubectl-plugin.mjs';
import { npmPackage } from './npm-package.mjs';
import { provenanceOf } from './provenance.mjs';

const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    output: { type: 'string' },
    dirty: { type: 'boolean', default: false },
  },
});
const root = fileURLToPath(new URL('../..', import.meta.url));
const { name, version, description, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const json = (value) => Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);

const plugin = pluginArchive(root);
const artefacts = [
  [`kube-ipvs-${version}-image.tar`, readFileSync(values.image)],
  [`kube-ipvs-${version}.tgz`, npmPackage(root)],
  [`helm-kube-ipvs-${version}.tgz`, chartPackage(root)],
  [`kubectl-kube_ipvs-${version}.tar.gz`, plugin],
  [`kubectl-kube_ipvs-${version}.krew.yaml`, krewManifest(root, { version, checksum: sha256(plugin) })],
];
const checksums = (files) => files.map(([file, bytes]) => `${sha256(bytes)}  ${file}\n`).join('');

const contentHash = sha256(checksums(artefacts));
const epoch = Number(process.env.SOURCE_DATE_EPOCH);
const release = { name, version, description, license, epoch, contentHash };
const components = componentsOf(root, version);
const described = [
  ...artefacts,
  [`kube-ipvs-${version}.spdx.json`, json(spdx(release, components))],
  [`kube-ipvs-${version}.cdx.json`, json(cycloneDx(release, components))],
];
const provenance = provenanceOf({ root, version, files: described, isDirty: values.dirty });
const files = [...described, [`kube-ipvs-${version}.intoto.json`, json(provenance)]];

mkdirSync(values.output);
for (const [file, bytes] of files) writeFileSync(join(values.output, file), bytes);
writeFileSync(join(values.output, 'SHA256SUMS'), checksums(files));
