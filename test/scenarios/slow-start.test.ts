// A new endpoint of a Service with slow start: over the fake kernel, in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at } from '../support/virtual-server-entries.js';
import { PacedNode } from '../support/paced-node.js';
import { connectionsOf } from '../support/weighted-round-robin.js';

const slowStart = { 'slow-start': '30s' };

test('the endpoints of a new Service start equal', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  assert.equal(web.weights, '1:10 2:10');
  assert.equal(web.scheduler, 'wrr');
});

test('the weight of a new endpoint climbs to the full one in ten steps', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  await web.setPods([1, 2, 3]);
  const weights: string[] = [];
  for (let second = 0; second <= 30; second += 3) {
    weights.push(web.weights.split(' ')[2] ?? '');
    await web.node.advance(3_000);
  }
  assert.deepEqual(
    weights,
    [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((weight) => `3:${weight}`),
  );
  assert.equal(web.weights, '1:10 2:10 3:10');
  assert.deepEqual(await web.node.advance(600_000), []);
});

test('a new endpoint gets its share of connections, and each step is one message', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  await web.setPods([1, 2, 3]);
  const shareOfNew = (): number => (connectionsOf(web.realServers, 2_100).get('10.1.0.3:80') ?? 0) / 2_100;
  assert.equal(shareOfNew(), 1 / 21);
  await web.node.advance(12_000);
  assert.equal(shareOfNew(), 4 / 24);
  assert.equal((await web.node.advance(3_000)).length, 1);
  await web.node.advance(15_000);
  assert.equal(shareOfNew(), 1 / 3);
});

test('endpoints that come at different times climb apart, in messages of the same batch where due together', async () => {
  await using web = await PacedNode.start(slowStart, [1]);
  await web.setPods([1, 2]);
  await web.node.advance(15_000);
  await web.setPods([1, 2, 3, 4]);
  assert.equal(web.weights, '1:10 2:5 3:1 4:1');
  await web.node.advance(15_000);
  assert.equal(web.weights, '1:10 2:10 3:5 4:5');
});

test('a climb goes on after a restart of the daemon, where it was', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  await web.setPods([1, 2, 3]);
  await web.node.advance(12_000);
  assert.deepEqual(await web.node.restart(), []);
  assert.equal(web.weights, '1:10 2:10 3:4');
  await web.node.advance(9_000);
  assert.equal(web.weights, '1:10 2:10 3:7');
  await web.node.advance(9_000);
  assert.equal(web.weights, '1:10 2:10 3:10');
});

test('an endpoint that comes while the daemon does not run climbs, one of a lost table does not', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  await web.restartWith([1, 2, 3]);
  assert.equal(web.weights, '1:10 2:10 3:1');
  await web.node.other.apply({ kind: 'delete-virtual-server', server: at('TCP', '10.96.0.1', 80) });
  await web.node.resync();
  await web.node.advance(30_000);
  assert.equal(web.weights, '1:10 2:10 3:10');
});

test('where all endpoints are replaced at once none climbs', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  await web.setPods([3, 4]);
  assert.equal(web.weights, '3:10 4:10');
});

test('an endpoint that leaves while it climbs drains, and starts anew when it returns', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  web.node.kernel.ipvs.busy = true;
  await web.setPods([1, 2, 3]);
  await web.node.advance(12_000);
  await web.setPods([1, 2]);
  assert.equal(web.weights, '1:10 2:10 3:0');
  await web.node.advance(30_000);
  assert.equal(web.weights, '1:10 2:10 3:0');
  await web.setPods([1, 2, 3]);
  assert.equal(web.weights, '1:10 2:10 3:1');
  web.node.kernel.ipvs.busy = false;
  await web.setPods([1, 2]);
  await web.node.advance(10_000);
  assert.equal(web.weights, '1:10 2:10');
});

test('a resync compares with the weight of this time', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2]);
  await web.setPods([1, 2, 3]);
  await web.node.advance(12_000);
  assert.deepEqual(await web.node.resync(), []);
  const climbing = web.realServers.find(({ address }) => address === '10.1.0.3');
  assert.ok(climbing);
  const of = at('TCP', '10.96.0.1', 80);
  await web.node.other.apply({ kind: 'update-real-server', of, server: { ...climbing, weight: 9 } });
  await web.node.resync();
  // The second resync waits for its turn.
  await web.node.advance(2_000);
  assert.equal(web.weights, '1:10 2:10 3:4');
});

test('a process that programs the kernel once sets full weights', async () => {
  await using web = await PacedNode.start(slowStart, [1, 2], { settings: { once: true } });
  await web.setPods([1, 2, 3]);
  assert.equal(web.weights, '1:10 2:10 3:10');
});

test('a climb of any length ends, at any time of the clock', async () => {
  for (const time of ['100ms', '1234ms', '7s', '29999ms']) {
    await using web = await PacedNode.start({ 'slow-start': time }, [1, 2]);
    await web.node.advance(0.37);
    await web.setPods([1, 2, 3]);
    await web.node.advance(31_000.55);
    assert.equal(web.weights, '1:10 2:10 3:10', time);
    assert.equal(web.node.composition.reconciler.pacer.nextDelay, undefined);
  }
});

test('the setting comes, changes and goes while the daemon runs', async () => {
  await using web = await PacedNode.start({}, [1, 2]);
  assert.equal(web.weights, '1:1 2:1');
  web.annotations = slowStart;
  await web.setPods([1, 2]);
  assert.equal(web.weights, '1:10 2:10');
  await web.setPods([1, 2, 3]);
  await web.node.advance(12_000);
  web.annotations = { 'slow-start': '60s' };
  await web.setPods([1, 2, 3]);
  assert.equal(web.weights, '1:10 2:10 3:2');
  web.annotations = {};
  await web.setPods([1, 2, 3]);
  assert.equal(web.weights, '1:1 2:1 3:1');
  assert.equal(web.scheduler, 'rr');
  assert.deepEqual(await web.node.advance(60_000), []);
});

test('the configuration sets it for all Services, and 0s in a Service turns it off', async () => {
  await using web = await PacedNode.start({}, [1, 2]);
  const pace = { slowStartMilliseconds: 30_000, quarantineMilliseconds: 0 };
  await web.node.changeSettings({ pace });
  await web.setPods([1, 2, 3]);
  assert.equal(web.weights, '1:10 2:10 3:1');
  web.annotations = { 'slow-start': '0s' };
  await web.setPods([1, 2, 3]);
  assert.equal(web.weights, '1:1 2:1 3:1');
});

test('a scheduler that does not distribute by weight has no slow start, and the Service learns it', async () => {
  await using web = await PacedNode.start({ ...slowStart, scheduler: 'mh' }, [1, 2]);
  await web.setPods([1, 2, 3]);
  assert.equal(web.weights, '1:1 2:1 3:1');
  assert.deepEqual(web.node.problems, ['SlowStartUnsupported']);
});

test('a wrong time is reported, and the configured one applies', async () => {
  await using web = await PacedNode.start({ 'slow-start': 'soon', quarantine: '-1s' }, [1, 2]);
  assert.equal(web.weights, '1:1 2:1');
  assert.deepEqual(web.node.problems, ['InvalidSlowStart', 'InvalidQuarantine']);
});
