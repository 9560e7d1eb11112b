// An esbuild plugin: node:http is loaded as CommonJS has it. As an ES module each of its exports is read at once, and from
// Node 22.5 on some of them (WebSocket, …) load undici and HTTP/2, which nothing here uses: 15 MB of memory.
const namespace = 'builtin-http';

export const builtinHttp = {
  name: namespace,
  setup(plugin) {
    plugin.onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'node:http', namespace }));
    plugin.onLoad({ filter: /.*/, namespace }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
      loader: 'js',
    }));
  },
};
