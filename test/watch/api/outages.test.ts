import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger, type Logger } from '../../../src/base/log.js';
import { defaultTiming } from '../../../src/watch/api/reflector-timing.js';
import { Reflector } from '../../../src/watch/api/reflector.js';
import { RetryPacer } from '../../../src/watch/api/retry-pacer.js';
import { FakeApi, type Outage } from '../../support/fake-api.js';
import { FakeClock } from '../../support/fake-clock.js';
import { Random } from '../../support/random.js';
import { RecordingLog } from '../../support/recording-log.js';

// Outages of all sorts and lengths, ten in a row, by a clock that jumps: every patience is the real one.

const resources = ['services', 'endpointslices', 'nodes'] as const;

/** Three resources of so many objects each, followed at a server. */
const setUp = (objects: number, log: Logger = silentLogger, seed = 7) => {
  const clock = new FakeClock();
  const api = new FakeApi(clock, objects);
  const random = new Random(seed);
  const stop = new AbortController();
  const pacer = new RetryPacer(clock);
  const reflectors = resources.map((name) => {
    const reflector = new Reflector({
      client: api,
      collection: {
        name,
        path: `/${name}`,
        selectors: {},
        read: (object) => ({
          key: (object as { metadata: { name: string } }).metadata.name,
          value: 1,
          problems: [],
        }),
        current: () => undefined,
        replace: () => {},
        apply: () => {},
        report: () => {},
      },
      logger: log,
      random: () => random.next(),
      timing: defaultTiming,
      pacer,
    });
    return reflector;
  });
  const running = Promise.all(reflectors.map((reflector) => reflector.run(stop.signal)));
  /** Until all are followed; the milliseconds that it took, of each resource. */
  const followed = async (): Promise<readonly number[]> => {
    const from = clock.now();
    const took = reflectors.map(async (reflector) => {
      while (reflector.lastError !== undefined) await clock.sleep(50);
      return clock.now() - from;
    });
    await clock.until(Promise.all(took));
    return Promise.all(took);
  };
  /** An outage of so many milliseconds. */
  const outage = async (what: Outage, milliseconds: number): Promise<void> => {
    api.become(what);
    await clock.until(clock.sleep(milliseconds));
    assert.ok(reflectors.every(({ lastError }) => lastError !== undefined));
  };
  const end = async (): Promise<void> => {
    stop.abort();
    await clock.until(running);
  };
  return { clock, api, reflectors, followed, outage, end };
};

const minute = 60_000;
const outages: readonly Outage[] = [
  'refused',
  'unresolvable',
  'vanished',
  { status: 500 },
  { status: 503 },
  { status: 403 },
  { status: 429, retryAfter: '1' },
];
/** The longest probe and the longest spread, and how exactly it is measured. */
const longest = 3_450;

for (const what of outages)
  for (const milliseconds of [5_000, 35_000, 2 * minute])
    for (const restarts of [true, false])
      test(`ten outages of ${milliseconds / 1_000} s: ${JSON.stringify(what)}, ${restarts ? 'all versions expired' : 'watches resume'}`, async () => {
        const { api, followed, outage, end } = setUp(5);
        await followed();
        for (let round = 1; round <= 10; round += 1) {
          await outage(what, milliseconds);
          if (restarts) api.restart();
          const before = api.requests.length;
          api.become(undefined);
          const took = await followed();
          assert.ok(Math.max(...took) <= longest, `outage ${round}: ${took.join(', ')} ms`);
          assert.ok(api.requests.length - before <= 6, `${api.requests.length - before} requests`);
        }
        await end();
      });

test('an hour without a server, of which the last seconds deny all resources, costs no more than the first outage', async () => {
  const { clock, api, followed, outage, end } = setUp(10_000);
  await followed();
  const first = api.requests.length;
  const began = clock.now();
  await outage('refused', 60 * minute);
  const requests = api.requests.slice(first);
  // One attempt at a time, whatever number of resources: 1.4 s from one to the next.
  assert.ok(requests.length < (60 * minute) / 1_200, `${requests.length} requests`);
  const pauses = requests.map(({ at }, index) => at - (requests[index - 1]?.at ?? began));
  assert.ok(Math.max(...pauses) <= 2_100, `${Math.max(...pauses)} ms`);
  for (const { status, milliseconds } of [
    { status: 403, milliseconds: 8_000 },
    { status: 401, milliseconds: 3_000 },
  ])
    await outage({ status }, milliseconds);
  api.restart();
  api.become(undefined);
  const took = await followed();
  assert.ok(Math.max(...took) <= longest, took.join(', '));
  await end();
});

test('a version that expired is no warning, and what it says is told once an outage', async () => {
  const log = new RecordingLog();
  const { api, followed, outage, end } = setUp(5, log);
  await followed();
  await outage('refused', minute);
  api.restart();
  api.become(undefined);
  await followed();
  await end();
  assert.equal(log.at('warn').length, resources.length);
  const told = log.at('info').map(({ fields }) => String(fields['event']));
  assert.deepEqual(
    told.slice(resources.length).toSorted(),
    resources.flatMap(() => ['resource-version-expired', 'resource-followed']).toSorted(),
  );
});

/**
 * When a node's first requests come after an outage of a minute, and when its lists; milliseconds after its end. 3,000 objects are
 * the fewest whose lists have the longest spread.
 */
const returns = async (
  seed: number,
): Promise<{ readonly first: number; readonly lists: readonly number[] }> => {
  const { clock, api, followed, outage, end } = setUp(3_000, silentLogger, seed);
  await followed();
  await outage('refused', minute);
  api.restart();
  const [before, ended] = [api.requests.length, clock.now()];
  api.become(undefined);
  await followed();
  await end();
  const after = api.requests.slice(before).map(({ at, path }) => ({ at: at - ended, path }));
  return {
    first: after[0]?.at ?? NaN,
    lists: after.filter(({ path }) => path.includes('sendInitialEvents')).map(({ at }) => at),
  };
};

test('nodes that lose a server together do not come back together', async () => {
  const nodes = [];
  for (let seed = 1; seed <= 60; seed += 1) nodes.push(await returns(seed));
  /** The most that come within 200 ms. */
  const most = (times: readonly number[]): number =>
    Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 200).length));
  const lists = nodes.flatMap((node) => node.lists);
  assert.equal(lists.length, 60 * resources.length);
  assert.ok(most(nodes.map(({ first }) => first)) < 60 / 3);
  assert.ok(most(lists) < lists.length / 4, String(most(lists)));
});
