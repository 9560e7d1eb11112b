import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  commonMeanings,
  meaningOfRead,
  operationMeanings,
  readMeanings,
} from '../../../src/apply/retry/decisions.js';
import type { ReadError } from '../../../src/apply/mirror/kernel-reader.js';
import { NetlinkError, ProtocolError } from '../../../src/netlink/errors.js';
import { virtualServerKey, type VirtualServerKey } from '../../../src/model/virtual-server.js';
import { render } from '../../../src/plan/render/render.js';
import { union } from '../../../src/plan/operations/diff.js';
import { errnoNumber } from '../../support/errnos.js';
import { FaultyKernel } from '../../support/faulty-kernel.js';
import { ready, service, slice } from '../../support/objects.js';
import { forgetVirtualServers, context, setUp } from '../../support/reconciling.js';
import { mergeDirtyKeys } from '../../support/dirty-keys.js';

// One unreadable virtual server is left unchanged, logged and retried with growing delays, and affects no other object,
// regardless of the error and the caller.

const count = 100;
const bad = 'TCP 10.97.0.0:80' as VirtualServerKey;

const errnos = [
  ...new Set([
    ...Object.values(commonMeanings).flat(),
    ...Object.values(operationMeanings).flatMap((ofKind) => Object.keys(ofKind)),
    ...Object.keys(readMeanings),
    'EXDEV',
  ]),
];
const errors: readonly ReadError[] = [
  ...errnos.map((errno) => new NetlinkError('list the real servers', errnoNumber(errno))),
  new ProtocolError('is missing', 'destination'),
];

class UnreadableKernel extends FaultyKernel {
  error: ReadError | undefined;

  override async realServers(
    of: Parameters<FaultyKernel['realServers']>[0],
  ): ReturnType<FaultyKernel['realServers']> {
    if (virtualServerKey(of) === bad && this.error !== undefined) throw this.error;
    return super.realServers(of);
  }
}

/** The objects in the kernel except the addresses, which depend on the others. */
const held = ({ tables }: FaultyKernel): ReadonlyMap<VirtualServerKey, string> =>
  new Map(
    [...tables].map(([key, { server, realServers }]) => [
      key,
      `${server.scheduler} ${[...realServers.values()]
        .map((each) => `${each.key} ${each.weight}`)
        .toSorted()
        .join()}`,
    ]),
  );

const world = () => {
  const kernel = new UnreadableKernel();
  const parts = setUp({ kernel });
  const { reconciler, resync, clock, observed } = parts;
  const tryAgain = async (): Promise<void> => {
    reconciler.retryGivenUp();
    clock.now += reconciler.nextRetry ?? 0;
    await reconciler.reconcile(mergeDirtyKeys([]));
  };
  /** A resync with all its slices. */
  const resyncAll = async (): Promise<void> => {
    await reconciler.reconcile(await resync.begin());
    while (resync.remaining > 0) await reconciler.reconcile(await resync.step(30));
  };
  const adopt = async (): Promise<void> => {
    await resync.begin({ ignoreKnown: true });
    await reconciler.reconcile(union(observed.keys(), parts.wantMany(count, ['10.1.0.1'])));
  };
  return { ...parts, kernel, tryAgain, resyncAll, adopt };
};
type World = ReturnType<typeof world>;

interface Situation {
  /** Runs before the virtual server becomes unreadable. */
  readonly before: (world: World) => Promise<void>;
  /** Runs while the virtual server is unreadable. */
  readonly act: (world: World) => Promise<void>;
}

const become = async ({ reconciler, wantMany }: World, endpoints?: readonly string[]): Promise<void> =>
  void (await reconciler.reconcile(wantMany(count, endpoints)));
const connect = ({ kernel }: World): void => {
  for (const { realServers } of kernel.tables.values())
    for (const key of realServers.keys()) kernel.connections.set(key, 3);
};

const situations: Readonly<Record<string, Situation>> = {
  'at the start': {
    before: async (all) => {
      await become(all, ['10.1.0.1', '10.1.0.2']);
      forgetVirtualServers(all.observed);
    },
    act: (all) => all.adopt(),
  },
  'when it may drain': {
    before: async (all) => {
      await become(all, ['10.1.0.1', '10.1.0.2']);
      connect(all);
    },
    act: (all) => become(all, ['10.1.0.2']),
  },
  'while it drains': {
    before: async (all) => {
      await become(all, ['10.1.0.1', '10.1.0.2']);
      connect(all);
      await become(all, ['10.1.0.2']);
    },
    act: async (all) => {
      all.clock.now += 3_600_000;
      await all.reconciler.drainDue();
    },
  },
  'when it may become orphaned': {
    before: async (all) => {
      await become(all, ['10.1.0.1', '10.1.0.2']);
    },
    act: (all) => become(all, undefined),
  },
  'with a resync': {
    before: (all) => become(all, ['10.1.0.1', '10.1.0.2']),
    act: async (all) => {
      for (const [key, { realServers }] of all.kernel.tables)
        if (key !== bad) realServers.delete([...realServers.keys()][0] ?? assert.fail());
      await all.resyncAll();
    },
  },
};

for (const [when, { before, act }] of Object.entries(situations))
  test(`a virtual server that cannot be read ${when} affects no other`, async () => {
    const sound = world();
    await before(sound);
    await act(sound);
    for (const error of errors) {
      const poisoned = world();
      const { kernel, reconciler, warnings, tryAgain } = poisoned;
      await before(poisoned);
      const badBefore = held(kernel).get(bad);
      kernel.error = error;
      await act(poisoned);
      const others = (all: World): ReadonlyMap<VirtualServerKey, string> => {
        const lines = new Map(held(all.kernel));
        lines.delete(bad);
        return lines;
      };
      assert.deepEqual(others(poisoned), others(sound), error.message);
      assert.equal(reconciler.refused, 1, error.message);
      const realServersOf = (line = ''): readonly string[] =>
        line.split(/[ ,]/).filter((part) => part.startsWith('10.'));
      assert.deepEqual(realServersOf(held(kernel).get(bad)), realServersOf(badBefore), 'nothing is deleted');
      const pauses: number[] = [];
      for (let round = 0; round < 4; round += 1) {
        pauses.push(reconciler.nextRetry ?? Infinity);
        await tryAgain();
      }
      const isGivenUp = meaningOfRead(error) === 'give-up';
      assert.equal(reconciler.givenUp['virtual-server'], isGivenUp ? 1 : 0, error.message);
      assert.ok((pauses[3] ?? 0) >= (pauses[0] ?? 0), `${pauses.join(' ')} ${error.message}`);
      assert.equal(reconciler.refused, 1, error.message);
      assert.equal(warnings.length, 1, error.message);
      kernel.error = undefined;
      for (let round = 0; round < 3 && reconciler.refused > 0; round += 1) await tryAgain();
      await reconciler.drainAll();
      assert.equal(reconciler.refused, 0, error.message);
      assert.deepEqual(held(kernel), held(sound.kernel), error.message);
    }
  });

test('a virtual server that is unreadable at its deadline is checked no more often than all others', async () => {
  const all = world();
  const { kernel, reconciler, clock } = all;
  await become(all, ['10.1.0.1', '10.1.0.2']);
  connect(all);
  await become(all, ['10.1.0.2']);
  kernel.error = errors[0];
  clock.now += 3_600_000;
  await reconciler.drainDue();
  assert.ok(reconciler.drains.nextCheckDelay >= 3_000);
  assert.equal(reconciler.drains.draining.size, 1);
  kernel.error = undefined;
  clock.now += reconciler.drains.nextCheckDelay;
  await reconciler.drainDue();
  assert.equal(reconciler.drains.draining.size, 0);
});

test('a foreign virtual server that cannot be read stays foreign', async () => {
  const all = world();
  const { kernel, contested, resync, reconciler } = all;
  await become(all, ['10.1.0.1']);
  const other = kernel.tables.get(bad) ?? assert.fail();
  const strange = world();
  strange.kernel.tables.set(bad, other);
  await strange.resync.begin();
  assert.equal(strange.contested.size, 1);
  strange.kernel.error = errors[0];
  await become(strange, ['10.1.0.9']);
  assert.equal(strange.reconciler.refused, 1);
  assert.equal(strange.contested.size, 1);
  assert.equal(strange.kernel.tables.size, count);
  assert.ok(!strange.kernel.operations.some((line) => line.includes(bad)));
  assert.deepEqual([contested.size, reconciler.refused, resync.remaining], [0, 0, 0]);
});

test('an undesired virtual server that was unreadable at the start keeps its connections once it is readable', async () => {
  const all = world();
  const { kernel, reconciler, resync, observed, lingering, tryAgain } = all;
  await become(all, ['10.1.0.1', '10.1.0.2']);
  connect(all);
  forgetVirtualServers(observed);
  all.wantMany(count, undefined);
  kernel.error = errors[0];
  await resync.begin({ ignoreKnown: true });
  await reconciler.reconcile(observed.keys());
  await tryAgain();
  assert.equal(lingering.size, count - 1);
  assert.equal(kernel.addresses.size, count);
  kernel.error = undefined;
  await tryAgain();
  assert.equal(lingering.size, count);
  assert.equal(kernel.tables.get(bad)?.realServers.size, 2);
  assert.equal(reconciler.refused, 0);
  kernel.connections.clear();
  await reconciler.drainAll();
  assert.deepEqual([kernel.tables.size, kernel.addresses.size, lingering.size], [0, 0, 0]);
  assert.deepEqual([...observed.elementKeys()], []);
});

test('an unreadable virtual server of a deleted Service keeps its address and the drain time of the Service', async () => {
  const all = world();
  const { kernel, reconciler, desired, lingering, clock, tryAgain } = all;
  const long = service('web-0', {
    clusterIP: '10.97.0.0',
    annotations: { 'ipvs.kube-ipvs.dev/drain-deadline': '1h' },
  });
  await reconciler.reconcile(
    desired.replace(long.key, render(long, [slice('web-0', [ready('10.1.0.1')])], context)),
  );
  connect(all);
  kernel.error = errors[0];
  await reconciler.reconcile(desired.replace(long.key, undefined));
  await tryAgain();
  assert.deepEqual([kernel.tables.size, kernel.addresses.size, lingering.size], [1, 1, 0]);
  kernel.error = undefined;
  await tryAgain();
  assert.equal(lingering.formerOwner(bad), long.key);
  clock.now += 3_000_000;
  await reconciler.drainAll();
  assert.deepEqual([kernel.tables.size, kernel.addresses.size, lingering.size], [1, 1, 1]);
  clock.now += 3_600_000;
  await reconciler.drainAll();
  assert.deepEqual([kernel.tables.size, kernel.addresses.size, lingering.size], [0, 0, 0]);
  assert.equal(desired.formerEndpoints.virtualServer(bad), undefined);
});

test('an idle, unreadable virtual server of a deleted Service is deleted with its address once it is readable', async () => {
  const all = world();
  const { kernel, reconciler, observed, tryAgain } = all;
  await become(all, ['10.1.0.1']);
  kernel.error = errors[0];
  await become(all, undefined);
  assert.deepEqual([kernel.tables.size, kernel.addresses.size], [1, 1]);
  kernel.error = undefined;
  await tryAgain();
  assert.deepEqual([kernel.tables.size, kernel.addresses.size, reconciler.refused], [0, 0, 0]);
  assert.deepEqual([...observed.elementKeys()], []);
});
