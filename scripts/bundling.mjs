// The esbuild options of the released bundle, for scripts/build.mjs, benchmarks and tests.
import { readFileSync } from 'node:fs';
import { builtinHttp } from './builtin-http.mjs';
import { clientWithoutModels } from './client-without-models.mjs';
import { lazyPackages } from './lazy-packages.mjs';
import { netlinkBinary } from './netlink-binary.mjs';

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

export const bundling = {
  platform: 'node',
  format: 'esm',
  target: engines.node.replace('>=', 'node'),
  banner: {
    // CommonJS packages in an ESM bundle still call require.
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  plugins: [clientWithoutModels, builtinHttp, lazyPackages, netlinkBinary],
};
