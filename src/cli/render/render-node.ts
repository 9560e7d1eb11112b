import type { Settings } from '../../config/settings.js';
import { formatCount } from '../../base/text.js';
import { nodePortNetworks } from '../../config/node-port-networks.js';
import type { EndpointSlice } from '../../model/endpoint.js';
import type { InterfaceAddress, Node } from '../../model/node.js';
import type { Pod, PodKey } from '../../model/pod.js';
import { noBinding } from '../../model/settings/vip-binding.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { DesiredState } from '../../plan/desired-state.js';
import { diff, type ObservedView } from '../../plan/operations/diff.js';
import { phases } from '../../plan/operations/phases.js';
import { planGroups, planText } from '../../plan/output/plan-text.js';
import { render } from '../../plan/render/render.js';
import { renderContext, type RenderContext } from '../../plan/render/render-context.js';
import { apiServerService, reservedAddresses } from '../../plan/render/reserved-addresses.js';
import { ipvsadmText, ipvsTableJson } from '../../plan/output/ipvs-table-formats.js';

/** The objects of a cluster in files. */
export interface ClusterObjects {
  readonly services: Iterable<Service>;
  readonly slices: Iterable<EndpointSlice>;
  readonly nodes: Iterable<Node>;
  readonly pods: ReadonlyMap<PodKey, Pod>;
}

export interface RenderedNode {
  readonly desired: DesiredState;
  /** What cannot be served as requested, one a line. */
  readonly warnings: readonly string[];
}

interface IndexedObjects {
  readonly services: readonly Service[];
  readonly slices: ReadonlyMap<ServiceKey, readonly EndpointSlice[]>;
  readonly node: Node | undefined;
  readonly pods: ReadonlyMap<PodKey, Pod>;
}

const slicesByService = (
  slices: Iterable<EndpointSlice>,
): ReadonlyMap<ServiceKey, readonly EndpointSlice[]> => {
  const byService = new Map<ServiceKey, EndpointSlice[]>();
  for (const slice of slices) {
    const before = byService.get(slice.service);
    if (before === undefined) byService.set(slice.service, [slice]);
    else before.push(slice);
  }
  return byService;
};

const contextOf = (
  { services, slices, node, pods }: IndexedObjects,
  settings: Settings,
  addresses: readonly InterfaceAddress[],
): RenderContext =>
  renderContext(
    {
      name: settings.nodeName,
      zone: node?.zone ?? '',
      statusAddresses: node?.addresses ?? [],
      addresses,
      reserved: reservedAddresses({
        gateways: [],
        service: services.find(({ key }) => key === apiServerService),
        slices: slices.get(apiServerService) ?? [],
        apiServerHost: undefined,
      }),
    },
    {
      scheduler: settings.scheduler,
      serviceDefaults: settings.serviceDefaults,
      pace: settings.pace,
      nodePortAddresses: nodePortNetworks(settings, node?.addresses ?? []),
      externalIpsAllowed: settings.externalIpsAllowed,
      vipBinding: settings.vipBinding,
      weightBy: settings.weightBy,
      inClusterEndpoints: settings.inClusterEndpoints,
      nodePortSharing: settings.nodePortSharing,
    },
    (key) => pods.get(key),
  );

/** The desired state of the node that the settings name. */
export const renderNode = (
  objects: ClusterObjects,
  settings: Settings,
  addresses: readonly InterfaceAddress[],
): RenderedNode => {
  const nodes = [...objects.nodes];
  const services = [...objects.services];
  const slices = slicesByService(objects.slices);
  const node = nodes.find(({ name }) => name === settings.nodeName);
  const context = contextOf({ services, slices, node, pods: objects.pods }, settings, addresses);
  const desired = new DesiredState(() => settings.vipBinding);
  const problems: string[] = [];
  for (const service of services) {
    const fragment = render(service, slices.get(service.key) ?? [], context);
    desired.replace(service.key, fragment);
    problems.push(...fragment.problems.map(({ message }) => message));
  }
  const unknownNode =
    nodes.length > 0 && node === undefined
      ? [
          `the files contain ${formatCount(nodes.length, 'Node')}, but not ${settings.nodeName}: no endpoint is local, and the zone is unknown. Select a Node, for example --hostname-override=${nodes[0]?.name}`,
        ]
      : [];
  return {
    desired,
    warnings: [...unknownNode, ...problems, ...desired.clashes().map(({ message }) => message)],
  };
};

const emptyKernel: ObservedView = {
  virtualServer: () => undefined,
  bindings: () => noBinding,
  element: () => undefined,
};

/** The text of `render -o`: the JSON contract, commands of ipvsadm, or the operations an empty kernel would need, in order. */
export const formatRendered = (desired: DesiredState, format: string): string => {
  switch (format) {
    case 'ipvsadm':
      return ipvsadmText(desired.virtualServers());
    case 'plan':
      return planText(
        planGroups(phases(diff(desired, emptyKernel, desired.keys()), desired.urgency), desired),
      );
    default:
      return `${JSON.stringify(ipvsTableJson(desired.virtualServers(), desired.boundVips()), undefined, 2)}\n`;
  }
};
