import { localNodeAddresses } from '../../src/cli/input/node-addresses.js';
import { renderNode } from '../../src/cli/render/render-node.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings } from '../../src/config/settings.js';
import { ipvsadmText } from '../../src/plan/output/ipvs-table-formats.js';
import { mergeManifests, readManifest, type ManifestText } from '../../src/watch/manifests/manifests.js';
import type { ApiServer } from './api-server.js';

/** What `render` says that a node of this name, on this machine, has for these manifests; as `savedTable` gives it. */
export const renderedTable = (texts: readonly ManifestText[], nodeName: string): readonly string[] => {
  const { services, endpointSlices, nodes, pods } = mergeManifests(texts.map((text) => readManifest(text)));
  const settings = resolveSettings({
    flags: parseFlags(['--proxy-mode=ipvs', `--hostname-override=${nodeName}`]),
    files: [],
    hostname: nodeName,
  });
  const objects = {
    services: services.values(),
    slices: endpointSlices.values(),
    nodes: nodes.values(),
    pods,
  };
  const { desired } = renderNode(objects, settings, localNodeAddresses());
  return ipvsadmText(desired.virtualServers())
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .toSorted();
};

/** The same for the objects of a test server. */
export const renderedOf = (server: ApiServer, nodeName: string): readonly string[] => {
  const items = [...server.list('Service'), ...server.list('EndpointSlice'), ...server.list('Node')];
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  return renderedTable([{ name: 'API server', text }], nodeName);
};
