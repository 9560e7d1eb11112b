import { countByProtocol } from '../../apply/drain/drain-counters.js';
import type { DriftCounters } from '../../apply/counters/drift-counters.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import type { Resync } from '../../apply/mirror/resync.js';
import type { OperationCounters } from '../../apply/counters/operation-counters.js';
import type { Reconciler } from '../../apply/reconciler.js';
import type { StaleFlows } from '../../apply/conntrack/stale-flows.js';
import { CounterMap } from '../../base/collections/counter-map.js';
import type { Family } from '../../base/ip.js';
import { protocols, type Protocol } from '../../base/protocol.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { Source } from '../../watch/source.js';
import { bootMilliseconds } from '../../base/boot-clock.js';
import type { OrphanedVirtualServers } from '../../plan/drain/orphaned-virtual-servers.js';
import type { ConnectionSync } from '../kernel/connection-sync.js';
import type { DeletedNodes } from '../nodes/deleted-nodes.js';
import type { EventCounts } from '../events/event-recorder.js';
import type { MetricKey, Sample } from './catalogue.js';

/** The parts of the daemon that have counters. */
export interface DaemonSampleParts {
  readonly families: readonly Family[];
  readonly desired: Pick<DesiredState, 'localShortages' | 'serviceCount' | 'problemCount'>;
  readonly observed: Pick<EngineState, 'sizes'>;
  readonly reconciler: Pick<Reconciler, 'refused' | 'givenUp' | 'drains' | 'pacer'>;
  readonly orphaned: Pick<OrphanedVirtualServers, 'virtualServers'>;
  readonly foreignVirtualServers: Pick<ForeignVirtualServers, 'size' | 'conflicts'>;
  readonly deletedNodes: Pick<DeletedNodes, 'results'>;
  readonly counters: Pick<OperationCounters, 'counts'>;
  readonly drift: Pick<DriftCounters, 'counts'>;
  readonly staleFlows: Pick<StaleFlows, 'counts'>;
  readonly resync: Pick<Resync, 'counts'>;
  readonly connectionSync: Pick<ConnectionSync, 'states' | 'failedStarts'>;
}

const unlabelled = (metric: MetricKey, value: number): Sample => ({ metric, value });

function* shortages({ desired, families }: DaemonSampleParts): Iterable<Sample> {
  for (const policy of ['internal', 'external'] as const)
    for (const family of families)
      yield {
        metric: 'noLocalEndpoints',
        labels: { traffic_policy: policy, ip_family: family },
        value: desired.localShortages.counts[policy][family],
      };
}

function* operations({ counters }: DaemonSampleParts): Iterable<Sample> {
  const failures = new CounterMap<string>();
  for (const { kind: operation, outcome, count } of counters.counts()) {
    if (outcome === 'applied' || outcome === 'unknown')
      yield { metric: 'operations', labels: { operation, outcome }, value: count };
    else {
      failures.add(operation, count);
      yield { metric: 'operationFailures', labels: { operation, errno: outcome }, value: count };
    }
  }
  for (const operation of failures.keys())
    yield { metric: 'operations', labels: { operation, outcome: 'failed' }, value: failures.get(operation) };
}

function* refusedOperations({ reconciler }: DaemonSampleParts): Iterable<Sample> {
  yield unlabelled('refused', reconciler.refused);
  const { element, ...counts } = reconciler.givenUp;
  for (const [object, value] of Object.entries({ ...counts, 'packet-rule': element }))
    yield { metric: 'givenUp', labels: { object }, value };
}

const byProtocol = (metric: MetricKey, counts: Readonly<Record<Protocol, number>>): readonly Sample[] =>
  protocols.map((protocol) => ({ metric, labels: { protocol }, value: counts[protocol] }));

function* drains({ reconciler: { drains: now }, orphaned }: DaemonSampleParts): Iterable<Sample> {
  yield* byProtocol(
    'draining',
    countByProtocol([...now.draining].map(([key, servers]) => [key, servers.size])),
  );
  const { oldestStart } = now;
  yield unlabelled(
    'oldestDrain',
    oldestStart === undefined ? 0 : Math.max(0, bootMilliseconds() - oldestStart) / 1_000,
  );
  yield* byProtocol('lingering', countByProtocol([...orphaned.virtualServers()].map((key) => [key, 1])));
  for (const protocol of protocols) {
    const { started, ended } = now.counters.counts[protocol];
    yield { metric: 'drainsStarted', labels: { protocol }, value: started };
    for (const [reason, value] of Object.entries(ended))
      yield { metric: 'drainsEnded', labels: { protocol, reason }, value };
  }
}

function* syncDaemons({ connectionSync }: DaemonSampleParts): Iterable<Sample> {
  for (const [role, { status, problem }] of connectionSync.states)
    if (status !== 'foreign' || problem !== undefined)
      yield { metric: 'syncDaemonRunning', labels: { role }, value: Number(status === 'running') };
  yield unlabelled('syncDaemonFailures', connectionSync.failedStarts);
}

/** The counters and sizes of the daemon. Costs one visit to each virtual server. */
export function* daemonSamples(parts: DaemonSampleParts): Iterable<Sample> {
  const { desired, observed, foreignVirtualServers, drift, staleFlows } = parts;
  yield* shortages(parts);
  yield* operations(parts);
  yield* drains(parts);
  const { climbing, quarantined, quarantines } = parts.reconciler.pacer.counts;
  yield unlabelled('climbing', climbing);
  yield unlabelled('quarantined', quarantined);
  yield unlabelled('quarantines', quarantines);
  for (const [result, value] of Object.entries(parts.deletedNodes.results))
    yield { metric: 'nodeQuestions', labels: { answer: result }, value };
  for (const { object, drift: kind, count } of drift.counts)
    yield { metric: 'drift', labels: { object, drift: kind }, value: count };
  for (const [source, value] of Object.entries(parts.resync.counts))
    yield { metric: 'resyncs', labels: { source }, value };
  const { virtualServers, realServers, addresses, elements } = observed.sizes();
  yield unlabelled('services', desired.serviceCount);
  yield unlabelled('serviceProblems', desired.problemCount);
  yield unlabelled('virtualServers', virtualServers);
  yield unlabelled('realServers', realServers);
  yield unlabelled('addresses', addresses);
  yield unlabelled('packetRuleElements', elements);
  yield* refusedOperations(parts);
  yield unlabelled('foreignVirtualServers', foreignVirtualServers.size);
  yield unlabelled('contestedVirtualServers', [...foreignVirtualServers.conflicts()].length);
  yield unlabelled('staleFlowFailures', staleFlows.counts.failed);
  yield* syncDaemons(parts);
}

/** Events by outcome. */
export function* eventSamples({ sent, failed, dropped }: EventCounts): Iterable<Sample> {
  for (const [outcome, value] of Object.entries({ sent, failed, dropped }))
    yield { metric: 'toldEvents', labels: { outcome }, value };
}

/** The state of the source. */
export function* sourceSamples(source: Pick<Source, 'counts'>): Iterable<Sample> {
  const { resources, manifests } = source.counts();
  for (const [resource, counts] of resources) {
    const labels = { resource };
    yield { metric: 'following', labels, value: Number(counts.following) };
    yield { metric: 'lists', labels, value: counts.lists };
    yield { metric: 'watches', labels, value: counts.watches };
    yield { metric: 'events', labels, value: counts.events };
    yield { metric: 'malformed', labels, value: counts.malformed };
    if (counts.lastEventAt !== undefined)
      yield { metric: 'lastEvent', labels, value: counts.lastEventAt / 1_000 };
    for (const [cause, value] of Object.entries(counts.failures))
      yield { metric: 'watchFailures', labels: { resource, cause }, value };
  }
  yield unlabelled('manifestFailures', manifests?.failures ?? 0);
  yield unlabelled('brokenManifests', manifests?.broken ?? 0);
}
