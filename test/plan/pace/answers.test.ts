import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pace, Paces } from '../../../src/model/pace.js';
import type { Protocol } from '../../../src/base/protocol.js';
import type { RealServerKey, RealServerObservation } from '../../../src/model/virtual-server.js';
import { answerStep, quarantine, type AnswerStates } from '../../../src/plan/pace/answers.js';
import { at, entry, real } from '../../support/virtual-server-entries.js';

const keyOf = (last: number): RealServerKey => `10.1.0.${last}:80` as RealServerKey;

interface Counts {
  readonly connections: number;
  readonly inPackets: number;
  readonly outPackets: number;
}

const observed = (
  last: number,
  { connections, inPackets, outPackets }: Counts,
  fields: Partial<RealServerObservation> = {},
): RealServerObservation => ({
  ...real(`10.1.0.${last}`, 80),
  activeConnections: 0,
  inactiveConnections: 0,
  persistentConnections: 0,
  statistics: {
    connections: BigInt(connections),
    inPackets: BigInt(inPackets),
    outPackets: BigInt(outPackets),
    inBytes: 0n,
    outBytes: 0n,
    connectionsPerSecond: 0n,
    inPacketsPerSecond: 0n,
    outPacketsPerSecond: 0n,
    inBytesPerSecond: 0n,
    outBytesPerSecond: 0n,
  },
  ...fields,
});

const answering = (check: number): RealServerObservation =>
  observed(1, { connections: 5 * check, inPackets: 20 * check, outPackets: 20 * check });

interface Surroundings {
  readonly protocol?: Protocol;
  readonly others?: boolean;
  readonly fields?: Partial<RealServerObservation>;
}

/** What each check found, of a real server with these counts beside one that answers. */
const silentAt = (
  counts: readonly Counts[],
  { protocol = 'TCP', others = true, fields = {} }: Surroundings = {},
): readonly number[] => {
  let states: AnswerStates | undefined;
  const found: number[] = [];
  for (const [check, each] of counts.entries()) {
    const servers = [others ? answering(check) : [], observed(2, each, fields)].flat();
    const step = answerStep(states, servers, protocol);
    states = step.states;
    if (step.silent.length > 0) found.push(check);
  }
  return found;
};

/** With each check so many more connections, of four packets each. */
const growing = (connections: readonly number[], outPackets: readonly number[] = []): readonly Counts[] =>
  connections.map((total, index) => ({
    connections: total,
    inPackets: 4 * total,
    outPackets: outPackets[index] ?? 0,
  }));

test('silent: at least three requests in at least two checks, and no answer', () => {
  assert.deepEqual(silentAt(growing([0, 2, 4, 6])), [2, 3]);
  assert.deepEqual(silentAt(growing([0, 1, 2, 3])), [3]);
  assert.deepEqual(silentAt(growing([0, 100, 100, 100])), []);
  assert.deepEqual(silentAt(growing([0, 2, 2, 2, 4])), [4]);
});

test('counters from before the first check count for nothing', () => {
  assert.deepEqual(silentAt(growing([1_000, 1_000, 1_002])), []);
});

test('one answer begins the count anew', () => {
  assert.deepEqual(silentAt(growing([0, 2, 4, 6, 8], [0, 0, 1, 1, 1])), [4]);
});

test('packets of open connections alone prove nothing, except of UDP', () => {
  const packets = [0, 5, 10, 15].map((inPackets) => ({ connections: 1, inPackets, outPackets: 0 }));
  assert.deepEqual(silentAt(packets), []);
  assert.deepEqual(silentAt(packets, { protocol: 'UDP' }), [2, 3]);
});

test('where no other real server answers it proves nothing', () => {
  assert.deepEqual(silentAt(growing([0, 2, 4, 6]), { others: false }), []);
});

test('not observed: replies that do not pass this node, no counters, no new connections', () => {
  for (const fields of [{ forwarding: 'direct' as const }, { statistics: undefined }, { weight: 0 }])
    assert.deepEqual(silentAt(growing([0, 2, 4, 6]), { fields }), []);
});

test('counters that another program reset begin anew', () => {
  assert.deepEqual(silentAt(growing([10, 12, 2, 4, 6])), [4]);
});

const quarantinedBy = (
  silent: readonly number[],
  { paces = new Map() as Paces, notReady = [] as readonly number[] } = {},
): readonly string[] => {
  const desired = entry(
    at('TCP', '10.96.0.1', 80),
    {},
    ...[1, 2, 3, 4].map((last) => real(`10.1.0.${last}`, 80)),
  );
  const pace = { slowStartMilliseconds: 0, quarantineMilliseconds: 30_000 };
  const begun = quarantine({
    desired: { ...desired, pace },
    paces,
    silent: silent.map(keyOf),
    isReady: (key) => !notReady.map(keyOf).includes(key),
    now: 5_000,
  });
  for (const each of begun.values())
    assert.deepEqual(each, { kind: 'quarantined', since: 5_000, until: 35_000 });
  return [...begun.keys()];
};

test('at most half are quarantined, only used and ready ones', () => {
  const quarantined: Pace = { kind: 'quarantined', since: 0, until: 30_000 };
  assert.deepEqual(quarantinedBy([2]), [keyOf(2)]);
  assert.deepEqual(quarantinedBy([2, 3, 4]), [keyOf(2), keyOf(3)]);
  assert.deepEqual(quarantinedBy([3, 4], { paces: new Map([[keyOf(2), quarantined]]) }), [keyOf(3)]);
  assert.deepEqual(quarantinedBy([2], { paces: new Map([[keyOf(2), quarantined]]) }), []);
  assert.deepEqual(quarantinedBy([2, 3], { notReady: [2] }), [keyOf(3)]);
  assert.deepEqual(quarantinedBy([9]), []);
});
