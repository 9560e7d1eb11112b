// Bundles src/cli/main.ts to dist/kube-ipvs.js, split so that a command loads only what it needs, and compiles
// native-shims to dist/native-shims.node. dist/ needs nothing else but node_modules/netlink.
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { clientWithoutModels } from './client-without-models.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

rmSync(`${root}dist/chunks`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { 'kube-ipvs': 'src/cli/main.ts' },
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  external: ['netlink'],
  define: { KUBE_IPVS_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
  legalComments: 'none',
  banner: {
    // Small generations of the garbage collector keep the daemon's memory low. CommonJS packages in an ESM bundle still ask for require.
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  plugins: [clientWithoutModels],
});
chmodSync(`${root}dist/kube-ipvs.js`, 0o755);

const native = spawnSync(process.execPath, [`${root}scripts/build-native.mjs`], { stdio: 'inherit' });
process.exit(native.status ?? 1);
