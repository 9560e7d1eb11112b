import type { Settings } from '../../config/settings.js';
import { nodePortNetworks } from '../../config/node-port-networks.js';
import type { EndpointSlice } from '../../model/endpoint.js';
import type { InterfaceAddress, Node } from '../../model/node.js';
import type { Service, ServiceKey } from '../../model/service.js';
import { DesiredState } from '../../plan/desired-state.js';
import { diff, type ObservedView } from '../../plan/operations/diff.js';
import { phases } from '../../plan/operations/phases.js';
import { planGroups, planText } from '../../plan/output/plan-text.js';
import { render, renderContext } from '../../plan/render/render.js';
import { apiServerService, reservedAddresses } from '../../plan/render/reserved-addresses.js';
import { ipvsadmText, ipvsTableJson } from '../../plan/output/ipvs-table-formats.js';

/** What files hold of a cluster. */
export interface ClusterObjects {
  readonly services: Iterable<Service>;
  readonly slices: Iterable<EndpointSlice>;
  readonly nodes: Iterable<Node>;
}

export interface RenderedNode {
  readonly desired: DesiredState;
  /** What can't be served, or is odd, a line each. */
  readonly warnings: readonly string[];
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

/** All that the objects ask of the node that the settings name. */
export const renderNode = (
  objects: ClusterObjects,
  settings: Settings,
  addresses: readonly InterfaceAddress[],
): RenderedNode => {
  const nodes = [...objects.nodes];
  const services = [...objects.services];
  const slices = slicesByService(objects.slices);
  const node = nodes.find(({ name }) => name === settings.nodeName);
  const context = renderContext(
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
      nodePortAddresses: nodePortNetworks(settings, node?.addresses ?? []),
      externalIpsAllowed: settings.externalIpsAllowed,
    },
  );
  const desired = new DesiredState();
  const problems: string[] = [];
  for (const service of services) {
    const fragment = render(service, slices.get(service.key) ?? [], context);
    desired.replace(service.key, fragment);
    problems.push(...fragment.problems.map(({ message }) => message));
  }
  const unknownNode =
    nodes.length > 0 && node === undefined
      ? [
          `none of the ${nodes.length} nodes in the files is ${settings.nodeName}: no endpoint is local, and the zone is unknown; --hostname-override=${nodes[0]?.name} names one`,
        ]
      : [];
  return {
    desired,
    warnings: [...unknownNode, ...problems, ...desired.clashes().map(({ message }) => message)],
  };
};

const emptyKernel: ObservedView = {
  virtualServer: () => undefined,
  hasAddress: () => false,
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
      return `${JSON.stringify(ipvsTableJson(desired.virtualServers(), desired.addresses()), undefined, 2)}\n`;
  }
};
