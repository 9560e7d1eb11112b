import { countByProtocol } from '../../apply/drain-counters.js';
import type { DriftCounters } from '../../apply/drift-counters.js';
import type { Observed } from '../../apply/observed.js';
import type { OperationCounters } from '../../apply/operation-counters.js';
import type { Reconciler } from '../../apply/reconciler.js';
import type { StaleFlows } from '../../apply/stale-flows.js';
import type { Family } from '../../base/ip.js';
import { protocols, type Protocol } from '../../model/service.js';
import type { Contested } from '../../plan/contested.js';
import type { Desired } from '../../plan/desired.js';
import type { Source } from '../../watch/source.js';
import { bootMilliseconds } from '../../base/boot-clock.js';
import type { Lingering } from '../../plan/lingering.js';
import type { LostNodes } from '../lost-nodes.js';
import type { EventCounts } from '../events/recorder.js';
import type { MetricKey, Sample } from './catalogue.js';

/** The parts of the daemon that count for themselves. */
export interface CountingParts {
  readonly families: readonly Family[];
  readonly desired: Pick<Desired, 'localShortages' | 'serviceCount'>;
  readonly observed: Pick<Observed, 'sizes'>;
  readonly reconciler: Pick<Reconciler, 'refused' | 'givenUp' | 'drains'>;
  readonly lingering: Pick<Lingering, 'virtualServers'>;
  readonly contested: Pick<Contested, 'foreign' | 'all'>;
  readonly lostNodes: Pick<LostNodes, 'answers'>;
  readonly counters: Pick<OperationCounters, 'counts'>;
  readonly drift: Pick<DriftCounters, 'counts'>;
  readonly staleFlows: Pick<StaleFlows, 'counts'>;
}

const plain = (metric: MetricKey, value: number): Sample => ({ metric, value });

function* shortages({ desired, families }: CountingParts): Iterable<Sample> {
  for (const policy of ['internal', 'external'] as const)
    for (const family of families)
      yield {
        metric: 'noLocalEndpoints',
        labels: { traffic_policy: policy, ip_family: family },
        value: desired.localShortages.counts[policy][family],
      };
}

function* operations({ counters }: CountingParts): Iterable<Sample> {
  for (const { kind: operation, outcome, count } of counters.counts()) {
    const failed = outcome !== 'applied' && outcome !== 'unknown';
    const labels = { operation, outcome: failed ? 'failed' : outcome };
    yield { metric: 'operations', labels, value: count };
    if (failed) yield { metric: 'operationFailures', labels: { operation, errno: outcome }, value: count };
  }
}

function* refusals({ reconciler }: CountingParts): Iterable<Sample> {
  yield plain('refused', reconciler.refused);
  const { element, ...counts } = reconciler.givenUp;
  for (const [object, value] of Object.entries({ ...counts, 'packet-rule': element }))
    yield { metric: 'givenUp', labels: { object }, value };
}

const byProtocol = (metric: MetricKey, counts: Readonly<Record<Protocol, number>>): readonly Sample[] =>
  protocols.map((protocol) => ({ metric, labels: { protocol }, value: counts[protocol] }));

function* drains({ reconciler: { drains: now }, lingering }: CountingParts): Iterable<Sample> {
  yield* byProtocol(
    'draining',
    countByProtocol([...now.draining].map(([key, servers]) => [key, servers.size])),
  );
  const { oldest } = now;
  yield plain('oldestDrain', oldest === undefined ? 0 : Math.max(0, bootMilliseconds() - oldest) / 1_000);
  yield* byProtocol('lingering', countByProtocol([...lingering.virtualServers()].map((key) => [key, 1])));
  for (const protocol of protocols) {
    const { started, ended } = now.counters.counts[protocol];
    yield { metric: 'drainsStarted', labels: { protocol }, value: started };
    for (const [reason, value] of Object.entries(ended))
      yield { metric: 'drainsEnded', labels: { protocol, reason }, value };
  }
}

/** What the daemon has counted, and what it holds. Costs one look at each virtual server. */
export function* daemonSamples(parts: CountingParts): Iterable<Sample> {
  const { desired, observed, contested, drift, staleFlows } = parts;
  yield* shortages(parts);
  yield* operations(parts);
  yield* drains(parts);
  for (const [answer, value] of Object.entries(parts.lostNodes.answers))
    yield { metric: 'nodeQuestions', labels: { answer }, value };
  for (const { object, drift: kind, count } of drift.counts)
    yield { metric: 'drift', labels: { object, drift: kind }, value: count };
  const { virtualServers, realServers, addresses, elements } = observed.sizes();
  yield plain('services', desired.serviceCount);
  yield plain('virtualServers', virtualServers);
  yield plain('realServers', realServers);
  yield plain('addresses', addresses);
  yield plain('packetRuleElements', elements);
  yield* refusals(parts);
  yield plain('foreignVirtualServers', contested.foreign);
  yield plain('contestedVirtualServers', [...contested.all()].length);
  yield plain('staleFlowFailures', staleFlows.counts.failed);
}

/** What became of events. */
export function* eventSamples({ sent, failed, dropped }: EventCounts): Iterable<Sample> {
  for (const [outcome, value] of Object.entries({ sent, failed, dropped }))
    yield { metric: 'toldEvents', labels: { outcome }, value };
}

/** How following the cluster goes. */
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
  yield plain('manifestFailures', manifests?.failures ?? 0);
  yield plain('brokenManifests', manifests?.broken ?? 0);
}
