import { OwnershipConflicts } from '../apply/ownership/ownership-conflicts.js';
import { DriftCounters } from '../apply/counters/drift-counters.js';
import { DummyInterface, type DummyInterfaceLinks } from '../apply/addresses/dummy-interface.js';
import { NodeAddresses } from '../apply/addresses/node-addresses.js';
import { ObservedState } from '../apply/mirror/observed-state.js';
import { PacketRules } from '../apply/packet-rules/packet-rules.js';
import type { PacketRulesClient } from '../apply/packet-rules/packet-rules-client.js';
import { OperationCounters } from '../apply/counters/operation-counters.js';
import { Reconciler, type ReconcilerParts } from '../apply/reconciler.js';
import { servedFrontend } from '../apply/conntrack/served-frontend.js';
import { StaleFlows, type StaleFlowsParts } from '../apply/conntrack/stale-flows.js';
import { TakeOver } from '../apply/ownership/take-over.js';
import { sameElements } from '../base/same-elements.js';
import { defaultRetryDelays, type RetryDelays } from '../apply/retry/retries.js';
import { Resync } from '../apply/mirror/resync.js';
import { cidrContains, familyOf, type Family, type IpAddress } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import { podNetworksUnknown, podTraffic } from '../config/pod-traffic.js';
import { nodePortNetworks } from '../config/node-port-networks.js';
import { servedFamilies } from '../kernel/ip-families.js';
import type { IpvsClient } from '../kernel/ipvs/client.js';
import type { RtnetlinkClient } from '../kernel/rtnetlink/client.js';
import { writeKernelParameter } from '../kernel/sysctl.js';
import { virtualServerKey, type VirtualServerIdentity } from '../model/virtual-server.js';
import { ForeignVirtualServers } from '../plan/ownership/foreign-virtual-servers.js';
import { ExcludedByCidr } from '../plan/ownership/excluded-by-cidr.js';
import { ownershipOf } from '../plan/ownership/ownership.js';
import { hasOwnershipMarker } from '../plan/packet-rules/packet-elements.js';
import { cachedPacketTable } from '../plan/packet-rules/packet-table.js';
import { apiServerService, reservedAddresses } from '../plan/render/reserved-addresses.js';
import { ClusterStore } from '../watch/store/cluster-store.js';
import { DeletedNodes } from './nodes/deleted-nodes.js';
import { NodeReporter } from './nodes/node-reporter.js';
import { OwnershipConflictReporter } from './ownership/ownership-conflict-reporter.js';
import { foreignVirtualServerReporter } from './ownership/foreign-virtual-server-reporter.js';
import { LastSync } from './admin/last-sync.js';
import type { EventRecorder, RecordedEvent } from './events/event-recorder.js';
import { kernelFacts, prepareKernel } from './kernel/kernel-access.js';
import { RouteEventHandler } from './kernel/route-event-handler.js';
import { SysctlController, type SysctlControllerParts } from './kernel/sysctl-controller.js';
import type { LiveSettings } from './config/live-settings.js';
import type { Metrics } from './metrics/registry.js';
import { SyncLoop } from './sync/sync-loop.js';
import { SyncHealth } from './serving/sync-health.js';
import { SyncListeners } from './sync/sync-observer.js';
import { defaultSyncRetryDelays, type SyncRetryDelays } from './sync/failure-state.js';
import { DesiredStateUpdater } from './sync/desired-state-updater.js';

/** The kernel, as the parts of the daemon ask it. */
export interface KernelPorts {
  readonly ipvs: ReconcilerParts['ipvs'] & Pick<IpvsClient, 'refreshFamily' | 'reloads' | 'setTimeouts'>;
  readonly route: Omit<DummyInterfaceLinks, 'addresses'> &
    Pick<RtnetlinkClient, 'links' | 'addresses' | 'gateways'>;
  readonly nftables: PacketRulesClient;
  readonly conntrack: StaleFlowsParts['conntrack'];
  /** Those for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
  /** The families that the kernel serves and the settings below /proc/sys: this machine's by default. */
  readonly families?: readonly Family[];
  readonly parameters?: Pick<SysctlControllerParts, 'facts' | 'write'>;
}

export interface Composition {
  readonly syncLoop: SyncLoop;
  readonly store: ClusterStore;
  readonly observed: ObservedState;
  readonly dummy: DummyInterface;
  readonly routeEvents: RouteEventHandler;
  readonly reconciler: Reconciler;
  readonly resync: Resync;
  readonly staleFlows: StaleFlows;
  /** Does nothing until it is started. */
  readonly deletedNodes: DeletedNodes;
  readonly counters: OperationCounters;
  readonly drift: DriftCounters;
  readonly desiredStateUpdater: DesiredStateUpdater;
  /** What Services ask for and somebody else has made. */
  readonly foreignVirtualServers: ForeignVirtualServers;
  /** What keeps Services from being served as they ask, now. */
  readonly problemEvents: () => Iterable<RecordedEvent>;
  readonly packetRules: PacketRules;
  readonly lastSync: LastSync;
  readonly health: SyncHealth;
  readonly families: readonly Family[];
  /** The listener is called after each complete sync. */
  readonly onSynced: (listener: () => void) => void;
  /** Reads all links, addresses and gateways; true where the node's own changed. */
  readonly readAddresses: () => Promise<boolean>;
  /** To be called before anything is changed: notes what others, and we ourselves, left here. */
  readonly readInitialState: () => Promise<void>;
}

/** After what was refused, and after a sync that broke. */
export interface Delays {
  readonly retry: RetryDelays;
  readonly syncRetry: SyncRetryDelays;
}

/** Connects the parts of the daemon: sources fill the store, the proxy follows it and the kernel's events. */
export const compose = (
  settings: LiveSettings,
  { ipvs, route, nftables, conntrack, packetFamilies, ...ports }: KernelPorts,
  events: EventRecorder,
  metrics: Metrics,
  log: Logger,
  delays: Delays = { retry: defaultRetryDelays, syncRetry: defaultSyncRetryDelays },
): Composition => {
  const store = new ClusterStore(({ losesEndpoint }) => {
    nodeReporter.report();
    syncLoop.request(losesEndpoint ? 'urgent' : 'ordinary');
  }, metrics);
  const observed = new ObservedState();
  const nodeAddresses = new NodeAddresses();
  let gateways: ReadonlySet<IpAddress> = new Set();
  let isSynced = false;
  const dummy = new DummyInterface(route, log, () => {
    if (isSynced) drift.count('interface', 'missing');
    routeEvents.dummyReplaced();
  });
  const counters = new OperationCounters();
  const drift = new DriftCounters(counters);
  const families = ports.families ?? servedFamilies();
  if (!families.includes('IPv6'))
    log.info({}, 'this node has no IPv6: what Services want of it is not served here');
  const nodeReporter = new NodeReporter({
    store,
    settings: () => settings.now,
    served: families,
    events,
    log,
  });
  settings.onChange(() => nodeReporter.report());
  const desiredStateUpdater = new DesiredStateUpdater({
    store,
    settings: () => ({
      scheduler: settings.now.scheduler,
      externalIpsAllowed: settings.now.externalIpsAllowed,
      families,
      nodePortAddresses: nodePortNetworks(settings.now, store.node?.addresses ?? []),
    }),
    nodeFacts: () => ({
      name: settings.now.nodeName,
      zone: store.node?.zone ?? '',
      statusAddresses: store.node?.addresses ?? [],
      addresses: nodeAddresses.all(),
      reserved: reservedAddresses({
        gateways,
        service: store.service(apiServerService),
        slices: store.slicesOf(apiServerService),
        apiServerHost: store.apiServerHost,
      }),
    }),
    observedKeys: () => observed.keys(),
    events,
    log,
  });
  const packetTable = cachedPacketTable();
  const packetRules = new PacketRules({
    client: nftables,
    families: packetFamilies,
    declaration: (family, sourceLengths) =>
      packetTable({
        family,
        masqueradeAll: settings.now.masqueradeAll || podNetworksUnknown(settings.now, store.node),
        masqueradeMark: settings.now.masqueradeMark,
        podTraffic: podTraffic(settings.now, store.node)[family],
        masqueradePorts: desiredStateUpdater.desired.nodePortUsage.masqueradePorts,
        sourceLengths,
      }),
    initialElements: function* (family) {
      yield* takeOver.markers(family);
      yield* observed.elementsOf(family);
    },
    onUntrusted: () => syncLoop.packetRulesChanged(),
    onEvent: (what, family) => {
      if (what === 'mended') drift.count('packet-rule', 'differs');
      else metrics.packetRulesRefused(family);
    },
    log,
  });
  const takeOver = new TakeOver({ packetRules, dummyAddresses: () => dummy.addresses() });
  const staleFlows = new StaleFlows({
    frontendOf: (identity) => servedFrontend(identity, observed),
    conntrack,
    onCleaned: (cleaning) => metrics.conntrackReconciled(cleaning),
    log,
  });
  const isExcluded = (address: IpAddress): boolean =>
    settings.now.excludeCidrs.some((cidr) => cidrContains(cidr, address));
  const foreignVirtualServers: ForeignVirtualServers = new ForeignVirtualServers({
    desired: new ExcludedByCidr({ desired: desiredStateUpdater.orphaned, observed, isExcluded }),
    services: desiredStateUpdater.desired,
    observed,
  });
  const isGiven = (identity: VirtualServerIdentity): boolean =>
    (identity.by === 'address' && takeOver.isInProgress(familyOf(identity.address))) ||
    desiredStateUpdater.desired.adoptForeign(virtualServerKey(identity));
  const ownershipConflicts = new OwnershipConflicts({
    ipvs,
    observed,
    foreign: foreignVirtualServers,
    adoptForeign: isGiven,
  });
  const reconciler = new Reconciler({
    retryDelays: delays.retry,
    ipvs,
    addresses: dummy,
    packetRules,
    staleFlows,
    observed,
    desired: foreignVirtualServers,
    conflicts: ownershipConflicts,
    orphans: desiredStateUpdater.orphaned,
    endpoints: desiredStateUpdater.desired,
    drainSettings: () => ({ deadlines: settings.now.drainDeadlines }),
    isNodeDeleted: (name) => deletedNodes.isDeleted(name),
    counters,
    log,
  });
  const deletedNodes = new DeletedNodes({
    suspects: () => reconciler.drains.nodesToCheck(),
    drainCountOf: (name) => reconciler.drains.countOnNode(name),
    deletionFound: () => syncLoop.deletedNodesChanged(),
    log,
  });
  const resync = new Resync({
    ipvs,
    observed,
    dummyAddresses: () => dummy.addresses(),
    isOurs: (identity) =>
      ownershipConflicts.mayBeOurs(virtualServerKey(identity)) ||
      ownershipOf(identity, {
        hasMarker: (named) => hasOwnershipMarker(named, (key) => observed.element(key) !== undefined),
        canHaveMarker: (family) => packetFamilies.includes(family),
        isTakingOver: (family) => takeOver.isInProgress(family),
        isDesired: (key) => desiredStateUpdater.desired.ownerOf(key) !== undefined,
        adoptForeign: (key) => desiredStateUpdater.desired.adoptForeign(key),
        hasDummyAddress: (address) => observed.hasAddress(address),
        hasNodeAddress: (address) => nodeAddresses.has(address),
        isExcluded,
      }) === 'ours',
    isDesired: (key) => desiredStateUpdater.desired.ownerOf(key) !== undefined,
    onUnreadable: reconciler.onUnreadable,
    onMissing: (missing) => ownershipConflicts.setMissing(missing),
    foreign: foreignVirtualServers,
  });
  const readAddresses = async (): Promise<boolean> => {
    // Its index is not to be relied on: events may have been lost.
    dummy.forget();
    await dummy.find();
    const links = await route.links();
    const entries = await route.addresses();
    const gatewaysBefore = gateways;
    gateways = await route.gateways(families);
    const changed = nodeAddresses.replace(
      links,
      entries.filter((entry) => entry.interfaceIndex !== dummy.index),
    );
    return changed || !sameElements(gatewaysBefore, gateways);
  };
  const health = new SyncHealth({
    families,
    hasFailed: (family) => packetRules.hasFailed(family),
    timeout: () => 2 * settings.now.syncPeriod,
  });
  let reloads = 0;
  const ensureIpvs = async (): Promise<void> => {
    ipvs.refreshFamily();
    if (ipvs.reloads === reloads) return;
    log.warn({}, 'IPVS was loaded anew: its settings and its table are made again');
    await prepareKernel({ ipvs }, settings.now, log);
    reloads = ipvs.reloads;
  };
  const sysctlController = new SysctlController({
    settings: () => settings.now,
    ...(ports.parameters ?? { facts: kernelFacts(), write: writeKernelParameter }),
    drift,
    log,
  });
  const [syncListeners, lastSync] = [new SyncListeners(), new LastSync(counters)];
  const syncLoop: SyncLoop = new SyncLoop({
    store,
    desiredStateUpdater,
    observed,
    reconciler,
    resync,
    isAddressDesired: (address) => foreignVirtualServers.hasAddress(address),
    checkKernelSettings: () => sysctlController.check(),
    dummy,
    packetRules,
    takeOver,
    staleFlows,
    readAddresses,
    ensureIpvs,
    syncRetryDelays: delays.syncRetry,
    minSyncPeriod: () => settings.now.minSyncPeriod,
    syncPeriod: () => settings.now.syncPeriod,
    observers: [health, syncListeners, metrics, lastSync],
    drift,
    log,
  });
  const routeEvents: RouteEventHandler = new RouteEventHandler({
    dummy,
    observed,
    nodeAddresses,
    nodeChanged: () => syncLoop.nodeChanged(),
    dummyChanged: (addresses) => syncLoop.dummyChanged(addresses),
    rereadAddresses: () => syncLoop.rereadAddresses(),
  });
  const ownershipConflictReporter = new OwnershipConflictReporter({
    foreignVirtualServers,
    uidOf: (service) => store.service(service)?.uid,
    events,
    log,
  });
  syncListeners.add(() => (isSynced = true));
  syncListeners.add(() => deletedNodes.checkSuspects());
  syncListeners.add(() => ownershipConflictReporter.report());
  syncListeners.add(foreignVirtualServerReporter(foreignVirtualServers, log));
  return {
    readInitialState: async () => {
      // Where somebody deletes our tables before the first sync, they are made anew with this.
      observed.setElements(await packetRules.read());
      await takeOver.detect();
    },
    syncLoop,
    store,
    desiredStateUpdater,
    foreignVirtualServers,
    problemEvents: function* () {
      yield* desiredStateUpdater.problemEvents();
      yield* ownershipConflictReporter.problemEvents();
    },
    observed,
    dummy,
    routeEvents,
    reconciler,
    resync,
    staleFlows,
    deletedNodes,
    counters,
    drift,
    packetRules,
    lastSync,
    health,
    families,
    onSynced: (listener) => syncListeners.add(listener),
    readAddresses,
  };
};
