// An esbuild plugin that leaves out unused parts of packages. kube-ipvs uses only KubeConfig of the Kubernetes client, not its
// generated models, which would take most of the memory (scripts/bench --memory); it sends requests with node:https, not with
// undici; and it does not use the exemplars of prom-client, which need OpenTelemetry.
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
