import type { Settings } from '../config/settings.js';
import { nodePortNetworks } from '../config/primary-addresses.js';
import type { EndpointSlice } from '../model/endpoint.js';
import type { InterfaceAddress, Node } from '../model/node.js';
import type { Service, ServiceKey } from '../model/service.js';
import { Desired } from '../plan/desired.js';
import { diff, type Observed } from '../plan/diff.js';
import { phases } from '../plan/order.js';
import { planGroups, planText } from '../plan/plan-text.js';
import { render, renderContext } from '../plan/render.js';
import { apiServerService, reservedAddresses } from '../plan/reserved-addresses.js';
import { ipvsadmText, tableJson } from '../plan/table.js';

/** What files hold of a cluster. */
export interface ClusterObjects {
  readonly services: Iterable<Service>;
  readonly slices: Iterable<EndpointSlice>;
  readonly nodes: Iterable<Node>;
}

export interface RenderedNode {
  readonly desired: Desired;
  /** What can't be served, or is odd, a line each. */
  readonly remarks: readonly string[];
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
      reported: node?.addresses ?? [],
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
  const desired = new Desired();
  const problems: string[] = [];
  for (const service of services) {
    const fragment = render(service, slices.get(service.key) ?? [], context);
    desired.replace(service.key, fragment);
    problems.push(...fragment.problems.map(({ message }) => message));
  }
  const stranger =
    nodes.length > 0 && node === undefined
      ? [
          `none of the ${nodes.length} nodes in the files is ${settings.nodeName}: no endpoint is local, and the zone is unknown; --hostname-override=${nodes[0]?.name} names one`,
        ]
      : [];
  return { desired, remarks: [...stranger, ...problems, ...desired.clashes().map(({ message }) => message)] };
};

const emptyKernel: Observed = {
  virtualServer: () => undefined,
  hasAddress: () => false,
  element: () => undefined,
};

/** The text of `render -o`: the JSON contract, commands of ipvsadm, or the operations an empty kernel would need, in order. */
export const formatRendered = (desired: Desired, format: string): string => {
  switch (format) {
    case 'ipvsadm':
      return ipvsadmText(desired.virtualServers());
    case 'plan':
      return planText(
        planGroups(phases(diff(desired, emptyKernel, desired.keys()), desired.urgency), desired),
      );
    default:
      return `${JSON.stringify(tableJson(desired.virtualServers(), desired.addresses()), undefined, 2)}\n`;
  }
};
