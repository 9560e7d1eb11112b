import type { Node } from '../../model/node.js';
import type { RenderSettings } from '../../plan/render/render-context.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import type { Family } from '../../base/ip.js';
import { Listeners } from '../sync/listeners.js';
import type { Logger } from '../../base/log.js';
import { nodePortNetworks } from '../../config/node-port-networks.js';
import type { NodeFacts } from '../../model/node.js';
import type { DesiredState } from '../../plan/desired-state.js';
import { union } from '../../plan/operations/diff.js';
import { apiServerService, reservedAddresses } from '../../plan/render/reserved-addresses.js';
import { ClusterStore, type StoreChange, type StoreObserver } from '../../watch/store/cluster-store.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { EventRecorder } from '../events/event-recorder.js';
import type { ChangeCauses } from '../history/change-causes.js';
import type { NodeNetwork } from '../nodes/node-network.js';
import { NodeReporter } from '../nodes/node-reporter.js';
import { DesiredStateUpdater } from '../sync/desired-state-updater.js';
import type { NotifySyncLoop } from '../sync/sync-trigger.js';

/** What the cluster asks of this node. */
export interface Cluster {
  readonly store: ClusterStore;
  readonly desiredStateUpdater: DesiredStateUpdater;
}

export interface ClusterParts {
  readonly settings: LiveSettings;
  /** The families that this node serves. */
  readonly families: readonly Family[];
  /** The families for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
  readonly network: Pick<NodeNetwork, 'addresses' | 'gateways'>;
  readonly desired: DesiredState;
  readonly observed: Pick<EngineState, 'keys' | 'virtualServers'>;
  readonly causes?: ChangeCauses | undefined;
  readonly storeObserver?: StoreObserver;
  readonly events: EventRecorder;
  readonly notify: NotifySyncLoop;
  readonly log: Logger;
}

const nodeFactsOf = ({ settings, network }: ClusterParts, store: ClusterStore): NodeFacts => ({
  name: settings.now.nodeName,
  zone: store.node?.zone ?? '',
  statusAddresses: store.node?.addresses ?? [],
  addresses: network.addresses.all(),
  reserved: reservedAddresses({
    gateways: network.gateways,
    service: store.service(apiServerService),
    slices: store.slicesOf(apiServerService),
    apiServerHost: store.apiServerHost,
  }),
});

const renderSettings = (
  { settings, families, packetFamilies }: ClusterParts,
  node: Node | undefined,
): RenderSettings => {
  const { scheduler, serviceDefaults, pace, externalIpsAllowed, vipBinding, weightBy } = settings.now;
  // Without packet rules no request gets the mark.
  const hasMarks = families.every((family) => packetFamilies.includes(family));
  return {
    scheduler,
    serviceDefaults,
    pace,
    externalIpsAllowed,
    vipBinding,
    nodePortSharing: hasMarks && settings.now.nodePortSharing,
    inClusterEndpoints: hasMarks ? settings.now.inClusterEndpoints : 'local',
    families,
    weightBy,
    nodePortAddresses: nodePortNetworks(settings.now, node?.addresses ?? []),
  };
};

/** The store that the sources fill, the desired state that follows it, and the reports about the Node. */
export const composeCluster = (parts: ClusterParts): Cluster => {
  const { settings, families, observed, events, notify, log } = parts;
  const changes = new Listeners<[StoreChange]>();
  const store = new ClusterStore(changes.notify, parts.storeObserver, () => settings.now.weightBy);
  const nodeReporter = new NodeReporter({
    store,
    settings: () => settings.now,
    served: families,
    events,
    log,
  });
  const desiredStateUpdater = new DesiredStateUpdater({
    desired: parts.desired,
    store,
    settings: () => renderSettings(parts, store.node),
    nodeFacts: () => nodeFactsOf(parts, store),
    retainedKeys: () => union(observed.virtualServers.orphans.keys(), observed.keys()),
    events,
    causes: parts.causes,
    log,
  });
  settings.onChange((now, before) => {
    nodeReporter.report();
    if (now.weightBy !== before.weightBy) store.recountPods();
  });
  changes.add(() => nodeReporter.report());
  changes.add(({ losesEndpoint }) =>
    notify({ kind: 'cluster-changed', urgency: losesEndpoint ? 'urgent' : 'ordinary' }),
  );
  return { store, desiredStateUpdater };
};
