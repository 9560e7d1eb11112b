// An esbuild plugin that loads node:http as a CommonJS module. An ES import reads all exports at once, and since Node.js 22.5
// some of them (WebSocket, …) load undici and HTTP/2, which kube-ipvs does not use.
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
