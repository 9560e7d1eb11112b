// An esbuild plugin: of the Kubernetes client only KubeConfig is used. Its generated models are most of its size (80 MB of
// memory once loaded), and requests are sent by node:https, so that undici is never called. Of prom-client exemplars are not
// used, and nothing else asks for OpenTelemetry.
const namespace = 'never-called';

export const clientWithoutModels = {
  name: 'client-without-models',
  setup(plugin) {
    plugin.onResolve({ filter: /^undici$|\/gen\// }, ({ path, importer }) =>
      importer.includes('/@kubernetes/client-node/') ? { path, namespace } : undefined,
    );
    plugin.onResolve({ filter: /^@opentelemetry\/api$/ }, ({ path, importer }) =>
      importer.includes('/prom-client/') ? { path, namespace } : undefined,
    );
    plugin.onLoad({ filter: /.*/, namespace }, () => ({
      contents: 'module.exports = new Proxy({}, { get: () => class {} });',
      loader: 'js',
    }));
  },
};
