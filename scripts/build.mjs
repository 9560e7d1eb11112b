// Bundles src/cli/main.ts to dist/kube-ipvs.js, in chunks so that a command loads only what it needs, and src/web to dist/web, and
// builds the native modules (scripts/build-native.mjs). At run time dist/ needs no package. dist/packages.json and dist/THIRD-PARTY-NOTICES.txt say whose code
// is in the bundle.
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
import { bundledPackages, thirdPartyNotices } from './bundled-packages.mjs';
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

/** The page (docs/page.md): its program and its files as they are, for dist/web. */
const web = await build({
  absWorkingDir: root,
  entryPoints: { page: 'src/web/main.ts' },
  outdir: 'dist/web',
  write: false,
  metafile: true,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  preserveSymlinks: true,
  minify: true,
  logLevel: 'warning',
  legalComments: 'none',
});
const styles = await build({
  absWorkingDir: root,
  entryPoints: { page: 'src/web/page.css' },
  outdir: 'dist/web',
  write: false,
  minify: true,
  logLevel: 'warning',
});
const pageFiles = [
  ...web.outputFiles,
  ...styles.outputFiles,
  ...['index.html', 'icon.svg'].map((name) => ({
    path: `${root}dist/web/${name}`,
    contents: readFileSync(`${root}src/web/${name}`),
  })),
];

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  entryPoints: { 'kube-ipvs': 'src/cli/main.ts' },
  outdir: 'dist',
  write: false,
  metafile: true,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  ...bundling,
  // The bundle has the paths of modules. They must not depend on the directory, even where node_modules is a link.
  preserveSymlinks: true,
  minifySyntax: true,
  minifyWhitespace: true,
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
const replaceFile = (path, contents) => {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  const temporary = `${root}dist/.${basename(path)}.${process.pid}`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
};
const all = { inputs: { ...web.metafile.inputs, ...metafile.inputs } };
const packages = bundledPackages(root, all);
replaceFile(`${root}dist/packages.json`, Buffer.from(`${JSON.stringify(packages, undefined, 2)}\n`));
replaceFile(`${root}dist/THIRD-PARTY-NOTICES.txt`, Buffer.from(thirdPartyNotices(root, packages, all)));
mkdirSync(`${root}dist/web`, { recursive: true });
for (const { path, contents } of pageFiles) replaceFile(path, Buffer.from(contents));
for (const { path, contents } of outputFiles.toSorted((a, b) => isProgram(a) - isProgram(b)))
  replaceFile(path, Buffer.from(contents));
chmodSync(program, 0o755);
const made = new Set(outputFiles.map(({ path }) => basename(path)));
for (const name of readdirSync(chunks)) if (!made.has(name)) rmSync(`${chunks}/${name}`, { force: true });

const native = spawnSync(process.execPath, [`${root}scripts/build-native.mjs`], { stdio: 'inherit' });
process.exit(native.status ?? 1);
