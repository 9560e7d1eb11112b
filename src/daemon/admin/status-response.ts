import { bootMilliseconds } from '../../base/boot-clock.js';
import { release } from 'node:os';
import { resolve } from 'node:path';
import type { Retries } from '../../apply/retry/retries.js';
import { version } from '../../base/version.js';
import { configDigest } from '../../config/configuration-document.js';
import {
  adminVersion,
  type OrphanedVirtualServerResponse,
  type PacketRulesResponse,
  type RefusedOperationResponse,
  type StatusResponse,
} from '../../admin-api/responses.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import type { Source } from '../../watch/source.js';
import { syncDaemonResponses } from './sync-daemon-responses.js';
import type { VirtualServerDescriptions } from './virtual-server-descriptions.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { Composition } from '../compose.js';

export interface StatusParts {
  readonly composition: Pick<
    Composition,
    | 'store'
    | 'observed'
    | 'reconciler'
    | 'foreignVirtualServers'
    | 'drift'
    | 'desiredStateUpdater'
    | 'orphaned'
    | 'health'
    | 'families'
    | 'lastSync'
    | 'deletedNodes'
    | 'packetRules'
    | 'connectionSync'
  >;
  readonly settings: LiveSettings;
  readonly source: Pick<Source, 'name' | 'health'>;
  readonly descriptions: Pick<VirtualServerDescriptions, 'allOrphaned'>;
}

const maximumRefusedOperations = 100;
const maximumOrphans = 100;

type Failures = ReturnType<Retries<unknown>['failures']>;

/** `now` is a time of the clock of the failures. */
export function* refusedOperationResponses(
  failures: Failures,
  now: number,
): Iterable<RefusedOperationResponse> {
  for (const { what, reason, since, dueAt } of failures)
    yield {
      what,
      reason,
      seconds: Math.max(0, now - since) / 1_000,
      ...(dueAt === Infinity ? {} : { nextTrySeconds: Math.max(0, dueAt - now) / 1_000 }),
    };
}

const packetRulesResponses = ({
  packetRules,
  families,
}: StatusParts['composition']): StatusResponse['packetRules'] => {
  const responses: Record<string, PacketRulesResponse> = {};
  for (const family of families) {
    const trouble = packetRules.lastErrorOf(family) ?? 'the kernel has no nftables for this family';
    responses[family] = packetRules.inForce.includes(family)
      ? { inForce: true }
      : { inForce: false, trouble };
  }
  return responses;
};

const countsOf = ({
  observed,
  desiredStateUpdater,
  orphaned,
  reconciler,
  foreignVirtualServers,
}: StatusParts['composition']): StatusResponse['counts'] => {
  const { virtualServers, realServers, addresses, elements } = observed.sizes();
  return {
    services: desiredStateUpdater.desired.serviceCount,
    virtualServers,
    realServers,
    addresses,
    packetRuleElements: elements,
    foreignVirtualServers: foreignVirtualServers.size,
    draining: reconciler.drains.size,
    lingering: orphaned.size,
    problems: desiredStateUpdater.desired.problemCount,
  };
};

const ownershipConflictResponses = (
  foreignVirtualServers: ForeignVirtualServers,
): StatusResponse['contested'] =>
  [...foreignVirtualServers.conflicts()].map(({ key, service }) => ({ virtualServer: key, service }));

const orphanResponses = (descriptions: StatusParts['descriptions']): StatusResponse['lingering'] => {
  const responses: OrphanedVirtualServerResponse[] = [];
  for (const [virtualServer, { service, lingering }] of descriptions.allOrphaned()) {
    responses.push({ virtualServer, ...(service === undefined ? {} : { service }), ...lingering });
    if (responses.length === maximumOrphans) break;
  }
  return responses;
};

const sourceResponse = ({ source, settings }: StatusParts): StatusResponse['source'] => {
  const { delivered, lastError } = source.health();
  const { source: configured } = settings.now;
  return {
    name: source.name,
    ...(configured.from === 'manifests' ? { manifests: resolve(configured.path) } : {}),
    delivered,
    ...(lastError === undefined ? {} : { trouble: lastError }),
  };
};

const portsResponse = ({ now: { configuration } }: LiveSettings): StatusResponse['ports'] => {
  const ports = { health: configuration.healthzBindAddress, metrics: configuration.metricsBindAddress };
  return Object.fromEntries(Object.entries(ports).filter(([, address]) => address !== ''));
};

const processResponse = () => ({
  programVersion: version,
  pid: process.pid,
  startedAt: new Date(performance.timeOrigin).toISOString(),
  uptimeSeconds: Math.round(process.uptime()),
  kernelRelease: release(),
});

/** The state of the daemon. Costs one visit to each virtual server. */
export const statusResponse = (parts: StatusParts): StatusResponse => {
  const { composition, settings, descriptions } = parts;
  const { store, reconciler, lastSync, health } = composition;
  const refused = [...refusedOperationResponses(reconciler.failures(), bootMilliseconds())];
  const sync = lastSync.toResponse();
  const zone = store.node?.zone ?? '';
  const connectionSync = syncDaemonResponses(composition.connectionSync);
  return {
    version: adminVersion,
    ...processResponse(),
    node: settings.now.nodeName,
    ...(zone === '' ? {} : { zone }),
    scheduler: settings.now.scheduler,
    configDigest: configDigest(settings.now),
    configFiles: settings.now.configFiles,
    source: sourceResponse(parts),
    synced: lastSync.synced,
    healthy: health.health().healthy,
    ...(sync === undefined ? {} : { lastSync: sync }),
    counts: countsOf(composition),
    refused: refused.slice(0, maximumRefusedOperations),
    refusedCount: refused.length,
    contested: ownershipConflictResponses(composition.foreignVirtualServers),
    lingering: orphanResponses(descriptions),
    lostNodes: composition.deletedNodes.deletedNodes(),
    drift: composition.drift.counts.filter(({ count }) => count > 0),
    packetRules: packetRulesResponses(composition),
    ...(connectionSync.length === 0 ? {} : { connectionSync }),
    ports: portsResponse(settings),
  };
};
