import { serviceKey } from '../../src/model/service.js';
import type { DesiredState } from '../../src/plan/desired-state.js';
import { reservedAddresses } from '../../src/plan/render/reserved-addresses.js';
import type { RenderSettings } from '../../src/plan/render/render-context.js';
import { desiredElements, desiredState, desiredText, problemsOf } from './desired-kernel.js';
import { settings } from './objects.js';
import type { ProductionNode } from './production-node.js';

/** The oracle: what render says of the objects that there are now, from scratch. */
export const oracle = (node: ProductionNode, changes: Partial<RenderSettings> = {}): DesiredState => {
  const { services, slices } = node.objects;
  const apiServer = serviceKey('default', 'kubernetes');
  const reserved = reservedAddresses({
    gateways: [],
    service: services.find(({ key }) => key === apiServer),
    slices: slices.filter(({ service }) => service === apiServer),
    apiServerHost: undefined,
  });
  return desiredState(
    node.objects,
    { ...node.facts, reserved },
    settings({
      vipBinding: node.settings.vipBinding,
      inClusterEndpoints: node.settings.inClusterEndpoints,
      nodePortSharing: node.settings.nodePortSharing,
      ...changes,
    }),
  );
};

/** What the kernel holds, and what the daemon says of it. */
export const held = (node: ProductionNode) => ({
  lines: node.lines,
  addresses: node.addresses,
  routes: node.routes,
  elements: node.elements,
  problems: node.problems.toSorted(),
});

/** The same of what should be there. */
export const wanted = (desired: DesiredState) => ({
  ...desiredText(desired),
  elements: desiredElements(desired),
  problems: problemsOf(desired).toSorted(),
});
