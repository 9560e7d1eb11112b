import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commonMeanings, meaningOf, operationMeanings } from '../../../src/apply/retry/decisions.js';
import type { Operation } from '../../../src/model/operation.js';
import { formatOperation } from '../../../src/model/plan-entry.js';
import { dirtyKeys, type DirtyKeys } from '../../../src/plan/operations/diff.js';
import { render } from '../../../src/plan/render/render.js';
import { failed, type FaultyKernel } from '../../support/faulty-kernel.js';
import { memoized } from '../../support/memoized.js';
import { ready, service, slice } from '../../support/objects.js';
import { RecordingLog } from '../../support/recording-log.js';
import { mergeDirtyKeys } from '../../support/dirty-keys.js';
import { context, reconcilerParts } from '../../support/reconciling.js';

const count = 100;
const vip = (index: number): string => `10.96.0.${index + 1}`;

type Shape = 'absent' | 'one-endpoint' | 'two-endpoints' | 'other-scheduler';

const endpointsOf: Readonly<Record<Shape, readonly string[]>> = {
  absent: [],
  'one-endpoint': ['1'],
  'two-endpoints': ['1', '2'],
  'other-scheduler': ['1'],
};

/** A change of each Service that needs operations of the kind. */
const changes: Readonly<Record<Operation['kind'], readonly [Shape, Shape]>> = {
  'add-virtual-server': ['absent', 'one-endpoint'],
  'update-virtual-server': ['one-endpoint', 'other-scheduler'],
  'delete-virtual-server': ['one-endpoint', 'absent'],
  'add-real-server': ['one-endpoint', 'two-endpoints'],
  // A removed real server gets weight 0 first.
  'update-real-server': ['two-endpoints', 'one-endpoint'],
  'delete-real-server': ['two-endpoints', 'one-endpoint'],
  'add-element': ['absent', 'one-endpoint'],
  'delete-element': ['one-endpoint', 'absent'],
  'bind-address': ['absent', 'one-endpoint'],
  'unbind-address': ['one-endpoint', 'absent'],
};

/** The Service in a shape; rendering it once is enough, as the result never changes. */
const renderedAs = memoized((index: number, to: Shape) => {
  const scheduler = to === 'other-scheduler' ? 'wrr' : 'rr';
  const object = service(`s${index}`, {
    clusterIP: vip(index),
    annotations: { 'ipvs.kube-ipvs.dev/scheduler': scheduler },
  });
  const endpoints = endpointsOf[to].map((pod) => ready(`10.1.${pod}.${index + 1}`));
  const rendered = to === 'absent' ? undefined : render(object, [slice(`s${index}`, endpoints)], context);
  return { key: object.key, rendered };
});

const setUp = () => {
  const log = new RecordingLog();
  const { kernel, desired, counters, clock, reconciler } = reconcilerParts({ log });
  const shape = (index: number, to: Shape): DirtyKeys => {
    const { key, rendered } = renderedAs(index, to);
    return desired.replace(key, rendered);
  };
  const become = (to: Shape): DirtyKeys =>
    mergeDirtyKeys(Array.from({ length: count + 1 }, (_, index) => shape(index, to)));
  const tryAgain = async (): Promise<void> => {
    reconciler.retryGivenUp();
    clock.now += reconciler.nextRetry ?? 0;
    await reconciler.reconcile(dirtyKeys());
  };
  return { kernel, counters, clock, log, reconciler, become, tryAgain };
};

const isPoisoned = (text: string): boolean => /10\.96\.0\.1(?!\d)/.test(text);

/** The objects in the kernel of the Services that the filter accepts. */
const held = ({ tables, addresses }: FaultyKernel, isMeant: (text: string) => boolean): readonly string[] =>
  [
    ...[...tables.values()].map(
      ({ server, realServers }) =>
        `${server.key} ${server.scheduler} → ${[...realServers.values()].map(({ key, weight }) => `${key} ${weight}`).join()}`,
    ),
    ...addresses,
  ]
    .filter(isMeant)
    .toSorted();

const errnos = [
  ...new Set([
    ...Object.values(commonMeanings).flat(),
    ...Object.values(operationMeanings).flatMap((ofKind) => Object.keys(ofKind)),
    'EXDEV',
  ]),
];

for (const kind of Object.keys(changes) as Operation['kind'][])
  test(`a Service whose ${kind} fails with any errno blocks none of a hundred others and is logged once`, async () => {
    const [from, to] = changes[kind];
    const sound = setUp();
    await sound.reconciler.reconcile(sound.become(from));
    await sound.reconciler.reconcile(sound.become(to));
    for (const errno of errnos) {
      const { kernel, counters, log, reconciler, become, tryAgain } = setUp();
      await reconciler.reconcile(become(from));
      kernel.fault = (operation) =>
        operation.kind === kind && isPoisoned(formatOperation(operation)) ? failed(errno) : undefined;
      await reconciler.reconcile(become(to));
      const others = (text: string): boolean => !isPoisoned(text);
      assert.deepEqual(held(kernel, others), held(sound.kernel, others), errno);
      assert.ok((counters.snapshot()[`${kind} ${errno}`] ?? 0) > 0, errno);
      const { refused } = reconciler;
      if (meaningOf(kind, errno) === 'applied') {
        assert.equal(refused, 0, errno);
        continue;
      }
      for (let round = 0; round < 3; round += 1) await tryAgain();
      assert.equal(reconciler.refused, refused, errno);
      assert.equal(log.at('warn').length, refused, errno);
      assert.equal(log.at('info').length, 0, errno);
      kernel.fault = () => undefined;
      while (reconciler.refused > 0) await tryAgain();
      assert.deepEqual(
        held(kernel, () => true),
        held(sound.kernel, () => true),
        errno,
      );
      assert.deepEqual(
        log.at('info').map(({ message }) => message),
        Array.from({ length: refused }, () => 'Operation succeeded after earlier failures'),
        errno,
      );
    }
  });
