// The provenance of a release: which files were built from which commit, with which locked packages and which compilers. An
// in-toto statement (version 1) with a SLSA provenance predicate (version 1). It has no signature and names no machine, so it is
// the same wherever the release is built; the release workflow signs it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackagesOf } from '../container-image/debian-packages.mjs';
import { sha256 } from './components.mjs';

const lockFiles = ['package-lock.json', 'scripts/node-runtime/package-lock.json'];
const tools = ['gcc', 'strip', 'aarch64-linux-gnu-gcc', 'aarch64-linux-gnu-strip', 'x86_64-linux-gnu-gcc'];

const pathOf = (program) => {
  try {
    return [execFileSync('which', [program], { encoding: 'utf8' }).trim()];
  } catch {
    return [];
  }
};

const git = (root, ...args) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim();

const materials = (root, debian) => [
  { name: 'commit', digest: { gitCommit: git(root, 'rev-parse', 'HEAD') } },
  ...lockFiles.map((name) => ({ name, digest: { sha256: sha256(readFileSync(join(root, name))) } })),
  ...debian.map(({ name, version, architecture }) => ({
    uri: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`,
  })),
];

/** `files` are `[name, bytes]` pairs; `isDirty` says that the checkout had uncommitted changes. */
export const provenanceOf = ({ root, version, files, isDirty }) => ({
  _type: 'https://in-toto.io/Statement/v1',
  subject: files.map(([name, bytes]) => ({ name, digest: { sha256: sha256(bytes) } })),
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {
    buildDefinition: {
      buildType: 'https://kube-ipvs.dev/scripts-release/v1',
      externalParameters: { version, command: `scripts/release ${isDirty ? '--dirty ' : ''}${version}` },
      internalParameters: { node: process.version, uncommittedChanges: isDirty },
      resolvedDependencies: materials(root, debianPackagesOf(tools.flatMap(pathOf))),
    },
    runDetails: { builder: { id: 'https://kube-ipvs.dev/scripts-release/unsigned' } },
  },
});
