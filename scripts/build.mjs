// Bundles src/cli/main.ts to dist/kube-ipvs.js, in chunks so that a command loads only what it needs, and compiles native-shims to
// dist/native-shims.node. At run time dist/ needs only node_modules/netlink.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundling } from './bundling.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

/** The day of the commit; without a repository, the day of package.json. */
const releaseDate = () => {
  const { status, stdout } = spawnSync('git', ['-C', root, 'log', '-1', '--format=%cs'], {
    encoding: 'utf8',
  });
  if (status === 0) return stdout.trim();
  return statSync(`${root}package.json`).mtime.toISOString().slice(0, 10);
};

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: { 'kube-ipvs': 'src/cli/main.ts' },
  outdir: 'dist',
  write: false,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  ...bundling,
  minifySyntax: true,
  minifyWhitespace: true,
  external: ['netlink'],
  define: { KUBE_IPVS_VERSION: JSON.stringify(version), KUBE_IPVS_DATE: JSON.stringify(releaseDate()) },
  logLevel: 'warning',
  legalComments: 'none',
});

// A program that runs from dist/ at the same time must load complete files. Unchanged files stay, others are renamed into place,
// the entry point last; unused chunks are removed after that.
const program = `${root}dist/kube-ipvs.js`;
const chunks = `${root}dist/chunks`;
mkdirSync(chunks, { recursive: true });
const isProgram = ({ path }) => Number(path === program);
for (const file of outputFiles.toSorted((a, b) => isProgram(a) - isProgram(b))) {
  if (existsSync(file.path) && readFileSync(file.path).equals(file.contents)) continue;
  const temporary = `${root}dist/.${basename(file.path)}.${process.pid}`;
  writeFileSync(temporary, file.contents);
  renameSync(temporary, file.path);
}
chmodSync(program, 0o755);
const made = new Set(outputFiles.map(({ path }) => basename(path)));
for (const name of readdirSync(chunks)) if (!made.has(name)) rmSync(`${chunks}/${name}`, { force: true });

const native = spawnSync(process.execPath, [`${root}scripts/build-native.mjs`], { stdio: 'inherit' });
process.exit(native.status ?? 1);
