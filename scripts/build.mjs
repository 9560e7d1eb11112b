// Bundles src/cli/main.ts to dist/kube-ipvs.js, split so that a subcommand loads only what it needs.
import { chmodSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

// The Kubernetes client's generated models are most of its size (80 MB of memory once loaded); only KubeConfig is used.
const withoutGeneratedModels = {
  name: 'without-generated-models',
  setup(plugin) {
    plugin.onLoad({ filter: /@kubernetes\/client-node\/dist\/gen\// }, () => ({
      contents: 'module.exports = new Proxy({}, { get: () => class {} });',
      loader: 'js',
    }));
  },
};

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
  external: ['netlink'],
  logLevel: 'warning',
  legalComments: 'none',
  // CommonJS packages in an ESM bundle still ask for require.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  plugins: [withoutGeneratedModels],
});
chmodSync(`${root}dist/kube-ipvs.js`, 0o755);
