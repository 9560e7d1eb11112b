// An esbuild plugin that loads a package at the first call of its function. string-width compiles the pattern of all emojis and
// loads the data for segmentation when it is loaded, which takes a sixth of the time of a short command; nearly all texts are
// measured without it (src/cli/output/display-width.ts).
const namespace = 'at-first-call';

export const lazyPackages = {
  name: 'lazy-packages',
  setup(plugin) {
    plugin.onResolve({ filter: /^string-width$/ }, ({ path, namespace: importer, resolveDir }) =>
      importer === namespace ? undefined : { path, namespace, pluginData: resolveDir },
    );
    plugin.onLoad({ filter: /.*/, namespace }, ({ path, pluginData }) => ({
      contents: `let load;
        export default (...given) => (load ??= require(${JSON.stringify(path)}).default)(...given);`,
      resolveDir: pluginData,
      loader: 'js',
    }));
  },
};
