import { release } from 'node:os';
import { DummyInterface, type DummyInterfaceLinks } from '../../apply/addresses/dummy-interface.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import { TakeOver } from '../../apply/ownership/take-over.js';
import { PacketRules, type PacketRulesParts } from '../../apply/packet-rules/packet-rules.js';
import type { PacketRulesClient } from '../../apply/packet-rules/packet-rules-client.js';
import type { Family } from '../../base/ip.js';
import { Listeners } from '../sync/listeners.js';
import type { Logger } from '../../base/log.js';
import { podNetworksUnknown, podTraffic } from '../../config/pod-traffic.js';
import { refusesBeforeRouting } from '../../kernel/kernel-version.js';
import type { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import type { SetElement } from '../../nftables/declarations.js';
import { cachedPacketTable } from '../../plan/packet-rules/packet-table.js';
import type { LiveSettings } from '../config/live-settings.js';
import { RouteEventHandler } from '../kernel/route-event-handler.js';
import type { NodeNetwork } from '../nodes/node-network.js';
import type { AddressReading } from '../sync/kernel-sync.js';
import type { NotifySyncLoop } from '../sync/sync-trigger.js';
import type { Cluster } from './compose-cluster.js';

/** The kernel's links, addresses and routes. */
export type RoutePort = Omit<DummyInterfaceLinks, 'addresses'> &
  Pick<RtnetlinkClient, 'links' | 'addresses' | 'gateways'>;

/** What the daemon knows of the kernel, and the interface and packet rules through which it changes it. */
export interface KernelMirror {
  readonly observed: EngineState;
  readonly dummy: DummyInterface;
  readonly packetRules: PacketRules;
  readonly takeOver: TakeOver;
  readonly routeEvents: RouteEventHandler;
  /** Adds a listener that is called when kube-ipvs0 was created, and so has no addresses. */
  readonly onDummyCreated: (listener: () => void) => void;
  /** Reads all links, addresses and gateways, and the bindings of VIPs. */
  readonly readAddresses: () => Promise<AddressReading>;
  /** Notes what other programs and earlier processes left; runs before anything is changed. */
  readonly readInitialState: () => Promise<void>;
}

export interface KernelMirrorParts {
  readonly route: RoutePort;
  readonly nftables: PacketRulesClient;
  /** The families for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
  /** The families that this node serves. */
  readonly families: readonly Family[];
  readonly observed: EngineState;
  readonly network: NodeNetwork;
  readonly cluster: Cluster;
  readonly settings: LiveSettings;
  readonly onPacketRuleEvent: NonNullable<PacketRulesParts['onEvent']>;
  readonly notify: NotifySyncLoop;
  readonly log: Logger;
}

/** The tables that the daemon declares, as the settings and the Node are now. */
const packetTables = ({ settings, cluster }: KernelMirrorParts): PacketRulesParts['declaration'] => {
  const packetTable = cachedPacketTable();
  return (family, optional) =>
    packetTable({
      family,
      table: settings.now.names.table,
      masqueradeAll: settings.now.masqueradeAll || podNetworksUnknown(settings.now, cluster.store.node),
      masqueradeMark: settings.now.masqueradeMark,
      vipBinding: settings.now.vipBinding,
      podTraffic: podTraffic(settings.now, cluster.store.node)[family],
      masqueradePorts: cluster.desiredStateUpdater.desired.nodePortUsage.masqueradePorts,
      refusesBeforeRouting: refusesBeforeRouting(release()),
      ...optional,
    });
};

type PacketRuleMirror = Pick<KernelMirror, 'packetRules' | 'takeOver'>;

const composePacketRules = (parts: KernelMirrorParts, dummy: DummyInterface): PacketRuleMirror => {
  const { observed, notify } = parts;
  const initialElements: ((family: Family) => Iterable<SetElement>)[] = [];
  const packetRules = new PacketRules({
    client: parts.nftables,
    table: parts.settings.now.names.table,
    families: parts.packetFamilies,
    declaration: packetTables(parts),
    *initialElements(family) {
      for (const elementsOf of initialElements) yield* elementsOf(family);
    },
    onUntrusted: () => notify({ kind: 'packet-rules-untrusted' }),
    onEvent: parts.onPacketRuleEvent,
    log: parts.log,
  });
  const takeOver = new TakeOver({ packetRules, boundVips: () => dummy.boundVips() });
  initialElements.push(
    (family) => takeOver.markers(family),
    (family) => observed.elementsOf(family),
  );
  return { packetRules, takeOver };
};

const readNetwork = async (parts: KernelMirrorParts, dummy: DummyInterface): Promise<AddressReading> => {
  const { route, network, families } = parts;
  // Events may have been lost: the interface may have another index.
  dummy.forget();
  const index = await dummy.find();
  const links = await route.links();
  const gateways = await route.gateways(families);
  const vipRoutes = await route.vipRoutes();
  // One dump has the addresses of the node and those of all VIPs.
  const addresses = await route.addresses();
  const own = addresses.filter(({ interfaceIndex }) => interfaceIndex !== index);
  return {
    isNodeChanged: network.replace(links, own, gateways),
    boundVips: { address: dummy.vipsAmong(addresses), route: vipRoutes },
  };
};

/** The observed state, kube-ipvs0, the node's own addresses, the packet rules, and the events that keep all of them current. */
export const composeKernelMirror = (parts: KernelMirrorParts): KernelMirror => {
  const { observed, network, notify } = parts;
  const dummyCreated = new Listeners();
  const dummy = new DummyInterface(
    parts.route,
    parts.settings.now.names.dummyInterface,
    parts.log,
    dummyCreated.notify,
  );
  const { packetRules, takeOver } = composePacketRules(parts, dummy);
  const routeEvents = new RouteEventHandler({
    dummy,
    observed,
    nodeAddresses: network.addresses,
    nodeChanged: () => notify({ kind: 'node-changed' }),
    vipsChanged: (addresses) => notify({ kind: 'vips-changed', addresses }),
    rereadAddresses: () => notify({ kind: 'addresses-untrusted' }),
  });
  dummyCreated.add(() => routeEvents.dummyReplaced());
  return {
    observed,
    dummy,
    packetRules,
    takeOver,
    routeEvents,
    onDummyCreated: (listener) => dummyCreated.add(listener),
    readAddresses: () => readNetwork(parts, dummy),
    readInitialState: async () => {
      // If another program deletes our tables before the first sync, they are declared again with these elements.
      observed.setElements(await packetRules.read());
      await takeOver.detect();
    },
  };
};
