import { Contests } from '../apply/contests.js';
import { DriftCounters } from '../apply/drift-counters.js';
import { DummyInterface, type DummyInterfaceLinks } from '../apply/dummy-interface.js';
import { NodeAddresses } from '../apply/node-addresses.js';
import { Observed } from '../apply/observed.js';
import { PacketRules, type PacketRulesClient } from '../apply/packet-rules.js';
import { OperationCounters } from '../apply/operation-counters.js';
import { Reconciler, type ReconcilerParts } from '../apply/reconciler.js';
import { servedFrontend } from '../apply/served-frontend.js';
import { StaleFlows, type StaleFlowsParts } from '../apply/stale-flows.js';
import { TakeOver } from '../apply/take-over.js';
import { defaultRetryDelays, type RetryDelays } from '../apply/retries.js';
import { Resync } from '../apply/resync.js';
import { cidrContains, familyOf, type Family, type IpAddress } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import { podNetworksUnknown, podTraffic } from '../config/pod-traffic.js';
import { nodePortNetworks } from '../config/primary-addresses.js';
import { servedFamilies } from '../kernel/ip-families.js';
import type { IpvsClient } from '../kernel/ipvs/client.js';
import type { RouteClient } from '../kernel/rtnetlink/client.js';
import { writeKernelNumber } from '../kernel/sysctl.js';
import { virtualServerKey, type VirtualServerIdentity } from '../model/virtual-server.js';
import { Contested } from '../plan/contested.js';
import { LeftAlone } from '../plan/excluded.js';
import { ownershipOf } from '../plan/ownership.js';
import { isNamedIn } from '../plan/packet-elements.js';
import { rememberedPacketTable } from '../plan/packet-table.js';
import { apiServerService, reservedAddresses } from '../plan/reserved-addresses.js';
import { ClusterStore } from '../watch/cluster-store.js';
import { LostNodes } from './lost-nodes.js';
import { NodeNews } from './node-news.js';
import { ContestedReporter } from './contested-reporter.js';
import { foreignReporter } from './foreign-reporter.js';
import { LastSync } from './admin/last-sync.js';
import type { EventRecorder, RecordedEvent } from './events/recorder.js';
import { kernelFacts, prepareKernel } from './kernel-access.js';
import { KernelEvents } from './kernel-events.js';
import { KernelSettingsCare } from './kernel-settings-care.js';
import type { LiveSettings } from './live-settings.js';
import type { Metrics } from './metrics/registry.js';
import { Proxy } from './proxy.js';
import { SyncHealth } from './serving/sync-health.js';
import { AfterSync } from './sync-observer.js';
import { defaultTroubleDelays, type TroubleDelays } from './trouble.js';
import { WantedState } from './wanted-state.js';

/** The kernel, as the parts of the daemon ask it. */
export interface WiredKernel {
  readonly ipvs: ReconcilerParts['ipvs'] & Pick<IpvsClient, 'lookAgain' | 'reloads' | 'setTimeouts'>;
  readonly route: Omit<DummyInterfaceLinks, 'addresses'> &
    Pick<RouteClient, 'links' | 'addresses' | 'gateways'>;
  readonly nftables: PacketRulesClient;
  readonly conntrack: StaleFlowsParts['conntrack'];
  /** Those for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
}

export interface Wired {
  readonly proxy: Proxy;
  readonly store: ClusterStore;
  readonly observed: Observed;
  readonly dummy: DummyInterface;
  readonly kernelEvents: KernelEvents;
  readonly reconciler: Reconciler;
  readonly resync: Resync;
  readonly staleFlows: StaleFlows;
  /** Does nothing until it is started. */
  readonly lostNodes: LostNodes;
  readonly counters: OperationCounters;
  readonly drift: DriftCounters;
  readonly wanted: WantedState;
  /** What Services ask for and somebody else has made. */
  readonly contested: Contested;
  /** What keeps Services from being served as they ask, now. */
  readonly problemEvents: () => Iterable<RecordedEvent>;
  readonly packetRules: PacketRules;
  readonly lastSync: LastSync;
  /** How the syncs are doing. */
  readonly health: SyncHealth;
  /** The families that are served. */
  readonly families: readonly Family[];
  /** The listener is called after each complete sync. */
  readonly onSynced: (listener: () => void) => void;
  /** Reads all links, addresses and gateways; true where the node's own changed. */
  readonly readAddresses: () => Promise<boolean>;
  /** To be called before anything is changed: notes what others, and we ourselves, left here. */
  readonly lookAround: () => Promise<void>;
}

/** After what was refused, and after a sync that broke. */
export interface Delays {
  readonly retry: RetryDelays;
  readonly trouble: TroubleDelays;
}

const sameElements = <T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean =>
  a.size === b.size && [...a].every((element) => b.has(element));

/** Connects the parts of the daemon: sources fill the store, the proxy follows it and the kernel's events. */
export const wire = (
  settings: LiveSettings,
  { ipvs, route, nftables, conntrack, packetFamilies }: WiredKernel,
  events: EventRecorder,
  metrics: Metrics,
  log: Logger,
  delays: Delays = { retry: defaultRetryDelays, trouble: defaultTroubleDelays },
): Wired => {
  const store = new ClusterStore(({ losesEndpoint }) => {
    nodeNews.look();
    proxy.request(losesEndpoint ? 'urgent' : 'ordinary');
  }, metrics);
  const observed = new Observed();
  const nodeAddresses = new NodeAddresses();
  let gateways: ReadonlySet<IpAddress> = new Set();
  let isSynced = false;
  const dummy = new DummyInterface(route, log, () => {
    if (isSynced) drift.count('interface', 'missing');
    kernelEvents.dummyIsNew();
  });
  const counters = new OperationCounters();
  const drift = new DriftCounters(counters);
  const families = servedFamilies();
  if (!families.includes('IPv6'))
    log.info({}, 'this node has no IPv6: what Services want of it is not served here');
  const nodeNews = new NodeNews({ store, settings: () => settings.now, served: families, events, log });
  settings.onChange(() => nodeNews.look());
  const wanted = new WantedState({
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
      reported: store.node?.addresses ?? [],
      addresses: nodeAddresses.all(),
      reserved: reservedAddresses({
        gateways,
        service: store.service(apiServerService),
        slices: store.slicesOf(apiServerService),
        apiServerHost: store.apiServerHost,
      }),
    }),
    held: () => observed.keys(),
    events,
    log,
  });
  const table = rememberedPacketTable();
  const packetRules = new PacketRules({
    client: nftables,
    families: packetFamilies,
    declaration: (family, sourceLengths) =>
      table({
        family,
        masqueradeAll: settings.now.masqueradeAll || podNetworksUnknown(settings.now, store.node),
        masqueradeMark: settings.now.masqueradeMark,
        podTraffic: podTraffic(settings.now, store.node)[family],
        masqueradePorts: wanted.desired.nodePorts.masqueradePorts,
        sourceLengths,
      }),
    held: function* (family) {
      yield* takeOver.marks(family);
      yield* observed.elementsOf(family);
    },
    inDoubt: () => proxy.packetRulesChanged(),
    happened: (what, family) => {
      if (what === 'mended') drift.count('packet-rule', 'differs');
      else metrics.packetRulesRefused(family);
    },
    log,
  });
  const takeOver = new TakeOver({ packetRules, dummyAddresses: () => dummy.addresses() });
  const staleFlows = new StaleFlows({
    served: (identity) => servedFrontend(identity, observed),
    conntrack,
    cleaned: (cleaning) => metrics.conntrackReconciled(cleaning),
    log,
  });
  const isExcluded = (address: IpAddress): boolean =>
    settings.now.excludeCidrs.some((cidr) => cidrContains(cidr, address));
  const contested: Contested = new Contested({
    wanted: new LeftAlone({ wanted: wanted.lingering, observed, isExcluded }),
    services: wanted.desired,
    observed,
  });
  const isGiven = (identity: VirtualServerIdentity): boolean =>
    (identity.by === 'address' && takeOver.isUnderWay(familyOf(identity.address))) ||
    wanted.desired.isGiven(virtualServerKey(identity));
  const contests = new Contests({ ipvs, observed, contested, isGiven });
  const reconciler = new Reconciler({
    retryDelays: delays.retry,
    ipvs,
    addresses: dummy,
    packetRules,
    staleFlows,
    observed,
    wanted: contested,
    contests,
    lingering: wanted.lingering,
    endpoints: wanted.desired,
    drainSettings: () => ({ deadlines: settings.now.drainDeadlines }),
    isNodeGone: (name) => lostNodes.isGone(name),
    counters,
    log,
  });
  const lostNodes = new LostNodes({
    suspects: () => reconciler.drains.suspectNodes(),
    drainsOf: (name) => reconciler.drains.countOf(name),
    found: () => proxy.lostNodesChanged(),
    log,
  });
  const resync = new Resync({
    ipvs,
    observed,
    dummyAddresses: () => dummy.addresses(),
    isOurs: (identity) =>
      contests.isMaybeOurs(virtualServerKey(identity)) ||
      ownershipOf(identity, {
        isNamed: (named) => isNamedIn(named, (key) => observed.element(key) !== undefined),
        hasRecord: (family) => packetFamilies.includes(family),
        takesOver: (family) => takeOver.isUnderWay(family),
        isWanted: (key) => wanted.desired.ownerOf(key) !== undefined,
        isGiven: (key) => wanted.desired.isGiven(key),
        hasDummyAddress: (address) => observed.hasAddress(address),
        hasNodeAddress: (address) => nodeAddresses.has(address),
        isExcluded,
      }) === 'ours',
    isWanted: (key) => wanted.desired.ownerOf(key) !== undefined,
    unreadable: reconciler.unreadable,
    missed: (missing) => contests.missed(missing),
    contested,
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
    isTroubled: (family) => packetRules.isTroubled(family),
    patience: () => 2 * settings.now.syncPeriod,
  });
  let reloads = 0;
  const ensureIpvs = async (): Promise<void> => {
    ipvs.lookAgain();
    if (ipvs.reloads === reloads) return;
    log.warn({}, 'IPVS was loaded anew: its settings and its table are made again');
    await prepareKernel({ ipvs }, settings.now, log);
    reloads = ipvs.reloads;
  };
  const settingsCare = new KernelSettingsCare({
    settings: () => settings.now,
    facts: kernelFacts(),
    write: writeKernelNumber,
    drift,
    log,
  });
  const afterSync = new AfterSync();
  const lastSync = new LastSync(counters);
  const proxy: Proxy = new Proxy({
    store,
    wanted,
    observed,
    reconciler,
    resync,
    wantsAddress: (address) => contested.wantsAddress(address),
    checkSettings: () => settingsCare.look(),
    dummy,
    packetRules,
    takeOver,
    staleFlows,
    readAddresses,
    ensureIpvs,
    troubleDelays: delays.trouble,
    minSyncPeriod: () => settings.now.minSyncPeriod,
    syncPeriod: () => settings.now.syncPeriod,
    observers: [health, afterSync, metrics, lastSync],
    drift,
    log,
  });
  const kernelEvents: KernelEvents = new KernelEvents({
    dummy,
    observed,
    nodeAddresses,
    nodeChanged: () => proxy.nodeChanged(),
    dummyChanged: (addresses) => proxy.dummyChanged(addresses),
    reread: () => proxy.rereadAddresses(),
  });
  const contestedReporter = new ContestedReporter({
    contested,
    uidOf: (service) => store.service(service)?.uid,
    events,
    log,
  });
  afterSync.add(() => (isSynced = true));
  afterSync.add(() => lostNodes.look());
  afterSync.add(() => contestedReporter.look());
  afterSync.add(foreignReporter(contested, log));
  return {
    lookAround: async () => {
      // Where somebody deletes our tables before the first sync, they are made anew with this.
      observed.setElements(await packetRules.read());
      await takeOver.lookAround();
    },
    proxy,
    store,
    wanted,
    contested,
    problemEvents: function* () {
      yield* wanted.problemEvents();
      yield* contestedReporter.problemEvents();
    },
    observed,
    dummy,
    kernelEvents,
    reconciler,
    resync,
    staleFlows,
    lostNodes,
    counters,
    drift,
    packetRules,
    lastSync,
    health,
    families,
    onSynced: (listener) => afterSync.add(listener),
    readAddresses,
  };
};
