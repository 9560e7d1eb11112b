import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Pace, Paces } from '../../../src/model/pace.js';
import type { RealServer, RealServerKey, VirtualServerEntry } from '../../../src/model/virtual-server.js';
import {
  effectiveWeight,
  fullWeight,
  withEffectiveWeights,
} from '../../../src/plan/pace/effective-weight.js';
import {
  maximumQuarantined,
  nextChange,
  paceStep,
  paceWords,
  percentOf,
  type PaceInput,
} from '../../../src/plan/pace/pace-step.js';
import { at, entry, real } from '../../support/virtual-server-entries.js';

const vip = at('TCP', '10.96.0.1', 80);
const pod = (last: number): string => `10.1.0.${last}`;
const keyOf = (last: number): RealServerKey => `${pod(last)}:80` as RealServerKey;

/** The virtual server with these weights, by the last part of the address. */
const withWeights = (weights: Readonly<Record<number, number>>): VirtualServerEntry =>
  entry(vip, {}, ...Object.entries(weights).map(([last, weight]) => real(pod(Number(last)), 80, { weight })));

const pace = { slowStartMilliseconds: 30_000, quarantineMilliseconds: 20_000 };

const step = (
  desired: Readonly<Record<number, number>>,
  observed: Readonly<Record<number, number>> | undefined,
  changes: Partial<PaceInput> = {},
): string => {
  const paces = paceStep({
    desired: { ...withWeights(desired), pace },
    observed: observed && withWeights(observed),
    before: new Map(),
    isDraining: () => false,
    quarantinedSince: () => undefined,
    isReady: () => true,
    now: 100_000,
    ...changes,
  });
  return textOf(paces);
};

const textOf = (paces: Paces): string =>
  [...paces]
    .map(
      ([key, each]) =>
        `${key} ${paceWords({ kind: each.kind, percent: percentOf(each) })} until ${each.until}`,
    )
    .join(', ');

const climbing = (since: number, tenths = 1): Pace => ({
  kind: 'climbing',
  since,
  until: since + 30_000,
  tenths,
});
const quarantined = (since: number): Pace => ({ kind: 'quarantined', since, until: since + 20_000 });

test('a real server that the kernel lacks climbs only if the kernel has others', () => {
  assert.equal(step({ 1: 10, 2: 10 }, { 1: 10 }), '10.1.0.2:80 climbing 10% until 130000');
  assert.equal(step({ 1: 10, 2: 10 }, undefined), '');
  assert.equal(step({ 1: 10, 2: 10 }, { 3: 10 }), '');
});

test('a real server that drains is new when its endpoint returns', () => {
  const isDraining = ({ key }: RealServer): boolean => key === keyOf(2);
  assert.equal(
    step({ 1: 10, 2: 10 }, { 1: 10, 2: 0 }, { isDraining }),
    '10.1.0.2:80 climbing 10% until 130000',
  );
  assert.equal(step({ 2: 10 }, { 2: 0 }, { isDraining }), '');
});

test('a weight that another program changed is neither a climb nor a quarantine', () => {
  assert.equal(step({ 1: 10, 2: 10 }, { 1: 10, 2: 4 }), '');
  assert.equal(step({ 1: 10, 2: 10 }, { 1: 10, 2: 0 }), '');
});

test('another process resumes by the weight: a share of the full one, or none', () => {
  const before = undefined;
  assert.equal(step({ 1: 10, 2: 10 }, { 1: 10, 2: 4 }, { before }), '10.1.0.2:80 climbing 40% until 118000');
  assert.equal(step({ 1: 30, 2: 30 }, { 1: 30, 2: 1 }, { before }), '10.1.0.2:80 climbing 10% until 127000');
  const since = (milliseconds: number) => ({ before, quarantinedSince: () => milliseconds });
  const [full, one] = [
    { 1: 10, 2: 10 },
    { 1: 10, 2: 0 },
  ];
  assert.equal(step(full, one, since(90_000)), '10.1.0.2:80 quarantined until 110000');
  assert.equal(step(full, one, since(80_000)), '10.1.0.2:80 climbing 10% until 130000', 'its time is over');
  assert.equal(step(full, full, since(90_000)), '', 'its end was not recorded');
  assert.equal(step(full, one, { before }), '', 'the weight was 0 for another reason');
  // The weights of the time before the setting.
  assert.equal(step({ 1: 10, 2: 10 }, { 1: 1, 2: 1 }, { before }), '');
});

test('a climb takes its steps, and ends', () => {
  const after = (now: number): string =>
    step({ 1: 10, 2: 10 }, { 1: 10, 2: 1 }, { before: new Map([[keyOf(2), climbing(100_000)]]), now });
  assert.equal(after(102_999), '10.1.0.2:80 climbing 10% until 130000');
  assert.equal(after(106_000), '10.1.0.2:80 climbing 20% until 130000');
  assert.equal(after(129_999), '10.1.0.2:80 climbing 90% until 130000');
  assert.equal(after(130_000), '');
});

test('each change of a weight comes when it is due, and after ten of them a climb has ended', () => {
  fc.assert(
    fc.property(fc.nat(10 ** 11), fc.double({ min: 0.001, max: 10 ** 8, noNaN: true }), (start, duration) => {
      let before: Paces = new Map([
        [keyOf(2), { kind: 'climbing', since: start, until: start + duration, tenths: 1 }],
      ]);
      for (let changes = 0; changes < 10 && before.size > 0; changes += 1) {
        const [due = 0] = [...before.values()].map(nextChange);
        const after = paceStep({
          desired: {
            ...withWeights({ 1: 10, 2: 10 }),
            pace: { slowStartMilliseconds: duration, quarantineMilliseconds: 0 },
          },
          observed: withWeights({ 1: 10, 2: 1 }),
          before,
          isDraining: () => false,
          quarantinedSince: () => undefined,
          isReady: () => true,
          now: Math.ceil(due),
        });
        assert.notDeepEqual(after, before);
        before = after;
      }
      assert.equal(before.size, 0);
    }),
  );
});

test('a quarantine ends in a climb; or at once, if the endpoint is not ready', () => {
  const after = (now: number, changes: Partial<PaceInput> = {}): string =>
    step(
      { 1: 10, 2: 10 },
      { 1: 10, 2: 0 },
      { before: new Map([[keyOf(2), quarantined(100_000)]]), now, ...changes },
    );
  assert.equal(after(119_999), '10.1.0.2:80 quarantined until 120000');
  assert.equal(after(120_000), '10.1.0.2:80 climbing 10% until 150000');
  assert.equal(after(110_000, { isReady: () => false }), '10.1.0.2:80 climbing 10% until 140000');
});

test('an endpoint of weight 0 has no pace, and does not count among those of which half may be quarantined', () => {
  assert.equal(step({ 1: 10, 2: 0 }, { 1: 10 }), '');
  assert.equal(step({ 1: 10, 2: 0 }, { 1: 4, 2: 0 }, { before: undefined }), '');
  const before = new Map([[keyOf(1), quarantined(99_000)]]);
  assert.equal(step({ 1: 10, 2: 0 }, { 1: 0, 2: 0 }, { before }), '');
});

test('other settings take effect at once', () => {
  const before = new Map([
    [keyOf(2), climbing(100_000)],
    [keyOf(3), quarantined(100_000)],
  ]);
  const after = (slowStartMilliseconds: number, quarantineMilliseconds: number): string =>
    step(
      {},
      { 1: 10, 2: 1, 3: 0 },
      {
        desired: {
          ...withWeights({ 1: 10, 2: 10, 3: 10 }),
          pace: { slowStartMilliseconds, quarantineMilliseconds },
        },
        before,
        now: 115_000,
      },
    );
  assert.equal(
    after(60_000, 60_000),
    '10.1.0.2:80 climbing 20% until 160000, 10.1.0.3:80 quarantined until 160000',
  );
  assert.equal(after(0, 10_000), '');
});

test('at most half are quarantined, those that began last', () => {
  assert.deepEqual([1, 2, 3, 4, 5].map(maximumQuarantined), [0, 1, 1, 2, 2]);
  const before = new Map([
    [keyOf(1), quarantined(100_002)],
    [keyOf(2), quarantined(100_001)],
  ]);
  assert.equal(
    step({ 1: 10, 2: 10, 3: 10 }, { 1: 0, 2: 0, 3: 10 }, { before, now: 100_003 }),
    '10.1.0.1:80 quarantined until 120002',
  );
});

test('the next change of a weight', () => {
  assert.equal(nextChange(climbing(100_000, 1)), 106_000);
  assert.equal(nextChange(climbing(100_000, 9)), 130_000);
  assert.equal(nextChange(quarantined(100_000)), 120_000);
});

test('a weight is a share of the full one, at least 1 while it climbs, and never raises a weight of 0', () => {
  assert.deepEqual(
    [climbing(0, 1), climbing(0, 4), quarantined(0), undefined].map((each) => effectiveWeight(10, each)),
    [1, 4, 0, 10],
  );
  assert.equal(effectiveWeight(1, climbing(0, 1)), 1);
  assert.equal(effectiveWeight(0, climbing(0, 5)), 0);
  assert.deepEqual(
    [fullWeight(3, undefined), fullWeight(3, pace), fullWeight(60_000, pace)],
    [3, 30, 65_535],
  );
});

test('without a pace the desired state is the same object', () => {
  const desired = withWeights({ 1: 10 });
  assert.equal(withEffectiveWeights(desired, undefined), desired);
  assert.equal(withEffectiveWeights(desired, new Map()), desired);
});
