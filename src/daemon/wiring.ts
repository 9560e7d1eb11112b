import { DummyInterface } from '../apply/dummy-interface.js';
import { NodeAddresses } from '../apply/node-addresses.js';
import { Observed } from '../apply/observed.js';
import { OperationCounters } from '../apply/operation-counters.js';
import { Reconciler } from '../apply/reconciler.js';
import { Resync } from '../apply/resync.js';
import { cidrContains, type IpAddress } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import { nodePortNetworks } from '../config/primary-addresses.js';
import type { Settings } from '../config/settings.js';
import { servedFamilies } from '../kernel/ip-families.js';
import type { IpvsClient } from '../kernel/ipvs/client.js';
import type { RouteClient } from '../kernel/rtnetlink/client.js';
import { defaultDrainSettings } from '../plan/drain.js';
import { defaultNodePortRange, ownershipOf } from '../plan/ownership.js';
import { apiServerService, reservedAddresses } from '../plan/reserved-addresses.js';
import { ClusterStore } from '../watch/cluster-store.js';
import { KernelEvents } from './kernel-events.js';
import { foreignReporter, Proxy } from './proxy.js';
import { WantedState } from './wanted-state.js';

export interface Wired {
  readonly proxy: Proxy;
  readonly store: ClusterStore;
  readonly observed: Observed;
  readonly dummy: DummyInterface;
  readonly kernelEvents: KernelEvents;
  readonly counters: OperationCounters;
  /** Reads all links, addresses and gateways; true where the node's own changed. */
  readonly readAddresses: () => Promise<boolean>;
}

const sameElements = <T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean =>
  a.size === b.size && [...a].every((element) => b.has(element));

/** Connects the parts of the daemon: sources fill the store, the proxy follows it and the kernel's events. */
export const wire = (settings: Settings, ipvs: IpvsClient, route: RouteClient, log: Logger): Wired => {
  const store = new ClusterStore(() => proxy.request());
  const observed = new Observed();
  const nodeAddresses = new NodeAddresses();
  let gateways: ReadonlySet<IpAddress> = new Set();
  const dummy = new DummyInterface(route, log, () => kernelEvents.dummyIsNew());
  const counters = new OperationCounters();
  const families = servedFamilies();
  if (!families.includes('IPv6'))
    log.info({}, 'this node has no IPv6: what Services want of it is not served here');
  const wanted = new WantedState({
    store,
    settings: () => ({
      scheduler: settings.scheduler,
      externalIpsAllowed: settings.externalIpsAllowed,
      families,
      nodePortAddresses: nodePortNetworks(settings, store.node?.addresses ?? []),
    }),
    nodeFacts: () => ({
      name: settings.nodeName,
      zone: store.node?.zone ?? '',
      addresses: nodeAddresses.all(),
      reserved: reservedAddresses({
        gateways,
        service: store.service(apiServerService),
        slices: store.slicesOf(apiServerService),
        apiServerHost: store.apiServerHost,
      }),
    }),
    log,
  });
  const reconciler = new Reconciler({
    ipvs,
    addresses: dummy,
    observed,
    wanted: wanted.desired,
    drainSettings: { ...defaultDrainSettings, deadlineMilliseconds: settings.drainDeadline },
    isExcluded: (identity) =>
      identity.by === 'address' && settings.excludeCidrs.some((cidr) => cidrContains(cidr, identity.address)),
    counters,
    log,
  });
  const resync = new Resync({
    ipvs,
    observed,
    dummyAddresses: () => dummy.addresses(),
    isWanted: (key) => wanted.desired.virtualServer(key) !== undefined,
    isOurs: (identity) =>
      ownershipOf(identity, {
        hasDummyAddress: (address) => observed.hasAddress(address),
        hasNodeAddress: (address) => nodeAddresses.has(address),
        excludeCidrs: settings.excludeCidrs,
        nodePortRange: defaultNodePortRange,
      }) === 'ours',
    onForeign: foreignReporter(log),
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
  const proxy: Proxy = new Proxy({
    store,
    wanted,
    observed,
    reconciler,
    resync,
    dummy,
    readAddresses,
    minSyncPeriodMilliseconds: settings.minSyncPeriod,
    syncPeriodMilliseconds: settings.syncPeriod,
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
  return { proxy, store, observed, dummy, kernelEvents, counters, readAddresses };
};
