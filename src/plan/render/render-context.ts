import type { Cidr, Family } from '../../base/ip.js';
import type { InClusterEndpoints } from '../../model/settings/in-cluster-endpoints.js';
import type { NodeFacts } from '../../model/node.js';
import type { Pod, PodKey } from '../../model/pod.js';
import type { VipBinding } from '../../model/settings/vip-binding.js';
import type { SetElement } from '../../nftables/declarations.js';
import { nodePortAddressElement } from '../packet-rules/packet-elements.js';
import type { WeightFacts } from '../endpoints/endpoint-weight.js';
import type { SettingDefaults } from './effective-settings.js';
import { nodePortFrontends, type Frontend, type FrontendContext } from './frontends.js';
import { nodePortAddresses } from './node-port-addresses.js';
import { startOf } from './real-servers.js';

export interface RenderSettings extends SettingDefaults {
  /** The networks of the node addresses that serve NodePorts; [] for all addresses. */
  readonly nodePortAddresses: readonly Cidr[];
  /** The feature gate AllowServiceExternalIPs. */
  readonly externalIpsAllowed: boolean;
  /** How VIPs become local; `address` by default. */
  readonly vipBinding?: VipBinding;
  /** Which endpoints serve requests from the cluster with externalTrafficPolicy Local; `local` by default. */
  readonly inClusterEndpoints?: InClusterEndpoints;
  /** Whether a node port has one virtual server for all addresses; false by default. */
  readonly nodePortSharing?: boolean;
  /** The families that this node can serve; both by default. */
  readonly families?: readonly Family[];
}

/** The pods whose weights are known. */
export type PodLookup = (key: PodKey) => Pod | undefined;

const noPods: PodLookup = () => undefined;

/**
 * The input of rendering besides the Service and its slices. Includes results that depend only on the node
 * and the settings.
 */
export interface RenderContext extends FrontendContext {
  readonly node: NodeFacts;
  readonly settings: RenderSettings;
  readonly nodePortFrontends: Readonly<Record<Family, readonly Frontend[]>>;
  /** The elements of the addresses that serve node ports. */
  readonly nodePortAddressElements: Readonly<Record<Family, readonly SetElement[]>>;
  readonly weightFacts: WeightFacts;
  /** See `RealServerSettings`. */
  readonly start: number;
}

/** Create a new context whenever a node fact or a setting changes, and render every Service again. */
export const renderContext = (
  node: NodeFacts,
  settings: RenderSettings,
  pod: PodLookup = noPods,
): RenderContext => {
  const context: FrontendContext = {
    interfaceAddresses: new Map(node.addresses.map(({ address, interfaceName }) => [address, interfaceName])),
    reserved: node.reserved,
    nodePortAddresses: {
      IPv4: nodePortAddresses('IPv4', node, settings.nodePortAddresses),
      IPv6: nodePortAddresses('IPv6', node, settings.nodePortAddresses),
    },
    externalIpsAllowed: settings.externalIpsAllowed,
  };
  return {
    ...context,
    node,
    settings,
    nodePortFrontends: {
      IPv4: nodePortFrontends('IPv4', context),
      IPv6: nodePortFrontends('IPv6', context),
    },
    nodePortAddressElements: {
      IPv4: context.nodePortAddresses.IPv4.map(nodePortAddressElement),
      IPv6: context.nodePortAddresses.IPv6.map(nodePortAddressElement),
    },
    weightFacts: { zone: node.zone, pod },
    start: startOf(node),
  };
};
