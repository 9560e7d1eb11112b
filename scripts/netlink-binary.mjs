// An esbuild plugin: the npm package `netlink` loads its native module as native-shims does, from dist/, and not from node_modules.
// dist/ then needs no package at run time.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const loader = fileURLToPath(new URL('../native-shims/load-binary.ts', import.meta.url));
const theirs = "require('node-gyp-build')(__dirname + '/..')";
const ours = `require(${JSON.stringify(loader)}).loadBinary('netlink')`;

export const netlinkBinary = {
  name: 'netlink-binary',
  setup(plugin) {
    plugin.onLoad({ filter: /\/netlink\/dist\/raw\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes(theirs)) throw new Error(`${path} does not load its native module by ${theirs}`);
      return { contents: text.replace(theirs, ours), loader: 'js' };
    });
  },
};
