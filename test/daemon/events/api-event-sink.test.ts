// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Instant } from '../../../src/base/instant.js';
import { ApiEventSink, type ApiEventsOptions } from '../../../src/daemon/events/api-event-sink.js';
import type { RecordedEvent } from '../../../src/daemon/events/event-recorder.js';
import { ApiClient } from '../../../src/watch/api/api-client.js';
import { ApiServer } from '../../support/api-server.js';
import { RecordingLog } from '../../support/recording-log.js';
import { plainCredentials, until } from '../../watch/follower.js';
import { elapse } from '../../support/virtual-clock.js';

/** Everything a hundred times faster than in earnest, and no rates. */
const fast: ApiEventsOptions['timing'] = {
  perSecond: 100_000,
  seriesPause: 20,
  requestTimeout: 200,
  backoff: { first: 4, maximum: 20 },
  flush: 150,
};

const teller = (
  server: { readonly url: string },
  timing: ApiEventsOptions['timing'] = {},
  nodeName = 'n1',
  clocks?: () => Instant,
) => {
  const log = new RecordingLog();
  const client = new ApiClient(plainCredentials(server.url));
  const events = new ApiEventSink({
    client,
    nodeName,
    log,
    timing: { ...fast, ...timing },
    ...(clocks && { clocks }),
  });
  return { events, log, [Symbol.asyncDispose]: () => events[Symbol.asyncDispose]() };
};

const starting: RecordedEvent = {
  regarding: { kind: 'Node', name: 'n1' },
  type: 'Normal',
  reason: 'Starting',
  action: 'StartKubeProxy',
  note: '',
};

const problem = (name: string, note = 'spec.clusterIP: is in use'): RecordedEvent => ({
  regarding: { kind: 'Service', namespace: 'shop', name, uid: `uid-of-${name}` },
  type: 'Warning',
  reason: 'AddressInUse',
  action: 'ProgramService',
  note,
});

const told = (server: ApiServer): readonly string[] =>
  server.events.map(({ regarding, series }) => `${regarding?.name} ${series?.count ?? 1}`);

test('an event has the fields that the API server asks for, and those that kubectl describe selects by', async () => {
  await using server = await ApiServer.start();
  await using daemon = teller(server);
  daemon.events.record(starting);
  daemon.events.record(problem('web', 'ü'.repeat(2_000)));
  await until('both are told', () => server.events.length === 2);
  const [ofNode, ofService] = server.events;
  assert.match(ofNode?.metadata.name ?? '', /^n1\.[0-9a-f]+$/);
  assert.equal(ofNode?.metadata.namespace, 'default');
  assert.deepEqual(ofNode?.regarding, { kind: 'Node', apiVersion: 'v1', name: 'n1', uid: 'n1' });
  assert.equal(ofNode?.reportingController, 'kube-proxy');
  assert.equal(ofNode?.reportingInstance, 'kube-proxy-n1');
  assert.match(ofService?.metadata.name ?? '', /^web\.[0-9a-f]{16}$/);
  assert.deepEqual(ofService?.regarding, {
    kind: 'Service',
    apiVersion: 'v1',
    namespace: 'shop',
    name: 'web',
    uid: 'uid-of-web',
  });
  assert.equal(ofService?.note, `${'ü'.repeat(510)}…`);
  assert.deepEqual(daemon.log.lines, []);
});

test('a name too long for an event or a reporting instance is cut', async () => {
  await using server = await ApiServer.start();
  const name = `${'n'.repeat(60)}.`.repeat(4).slice(0, -1);
  await using daemon = teller(server, {}, name);
  daemon.events.record({ ...starting, regarding: { kind: 'Node', name } });
  await until('it is told', () => server.events.length === 1);
});

test('what happens again is counted in the same event, which is updated now and then', async () => {
  await using server = await ApiServer.start();
  await using daemon = teller(server, { seriesPause: 300 });
  daemon.events.record(problem('web'));
  await until('it is told', () => daemon.events.counts.sent === 1);
  for (let times = 0; times < 50; times += 1) {
    daemon.events.record(problem('web'));
    await elapse(1);
  }
  await until('the count is told', () => told(server).includes('web 51'));
  const patches = server.requests.filter(({ verb }) => verb === 'patch');
  assert.ok(patches.length <= 2, `${patches.length} updates`);
  server.expireEvents();
  daemon.events.record(problem('web'));
  await until('it is told anew once the server has dropped it', () => told(server).includes('web 1'));
});

test('a clock that is set back or forward holds up no event and hurries none', async () => {
  await using server = await ApiServer.start();
  const now = Date.now();
  let stepped = 0;
  const clocks = (): Instant => ({ date: now + stepped, monotonic: performance.now() });
  await using daemon = teller(server, { seriesPause: 3_000 }, 'n1', clocks);
  const again = async (name: string, count: number): Promise<number> => {
    const began = performance.now();
    daemon.events.record(problem(name));
    await until(`${name} is told`, () => told(server).includes(`${name} ${count}`));
    return performance.now() - began;
  };
  for (const step of [-3_600_000, 7_200_000, -86_400_000]) {
    const name = `web${step}`;
    await again(name, 1);
    await until('the answer is in', () => daemon.events.counts.waiting === 0);
    stepped += step;
    assert.ok((await again(name, 2)) > 2_000, 'the pause of a series is one of its own clock');
  }
});

test('what several nodes find wrong with a Service becomes one event', async () => {
  await using server = await ApiServer.start();
  await using first = teller(server, {}, 'n1');
  await using second = teller(server, {}, 'n2');
  first.events.record(problem('web'));
  await until('the first has told it', () => first.events.counts.sent === 1);
  second.events.record(problem('web'));
  second.events.record(starting);
  await until('the second has told it too', () => second.events.counts.sent === 2);
  assert.deepEqual(told(server), ['web 1', 'n1 1']);
  assert.equal(server.events[0]?.reportingInstance, 'kube-proxy-n1');
  assert.deepEqual(second.log.lines, []);
});

test('events wait for a server that is not up yet, and for one that has too much to do', async () => {
  const { port, url } = await ApiServer.start().then(async (server) => {
    const place = { port: server.port, url: server.url };
    await server[Symbol.asyncDispose]();
    return place;
  });
  await using daemon = teller({ url });
  daemon.events.record(problem('a'));
  daemon.events.record(problem('b'));
  await until('it is told that they wait', () => daemon.log.at('warn').length === 1);
  assert.equal(daemon.events.counts.waiting, 2);
  await using server = await ApiServer.start({ port });
  server.fail({ resource: 'events', times: 30, fault: { fault: 'status', status: 503, html: true } });
  server.fail({ resource: 'events', fault: { fault: 'status', status: 429, retryAfterSeconds: 0 } });
  server.fail({ resource: 'events', fault: { fault: 'no-answer' } });
  server.fail({ resource: 'events', fault: { fault: 'refuse' } });
  await until('both are told', () => daemon.events.counts.sent === 2);
  assert.equal(server.events.length, 2);
  assert.equal(server.pendingFaults, 0);
  assert.deepEqual(daemon.events.counts, { sent: 2, failed: 0, dropped: 0, waiting: 0 });
  assert.equal(daemon.log.at('info').at(-1)?.fields['event'], 'events-delivered');
});

test('429 with a time is not asked again before it', async () => {
  await using server = await ApiServer.start();
  server.fail({ resource: 'events', fault: { fault: 'status', status: 429, retryAfterSeconds: 1 } });
  await using daemon = teller(server);
  const began = performance.now();
  daemon.events.record(starting);
  await until('it is told', () => server.events.length === 1);
  assert.ok(performance.now() - began > 950);
});

test('an event that the server always fails at is given up, and holds up no other for good', async () => {
  await using server = await ApiServer.start();
  server.fail({ resource: 'events', times: 3, fault: { fault: 'status', status: 500 } });
  await using daemon = teller(server, { attempts: 3 });
  daemon.events.record(problem('poison'));
  daemon.events.record(problem('web'));
  await until('the other one is told', () => daemon.events.counts.sent === 1);
  assert.deepEqual(told(server), ['web 1']);
  assert.deepEqual(daemon.events.counts, { sent: 1, failed: 1, dropped: 0, waiting: 0 });
});

test('without the right to tell events it is said once, with the remedy', async () => {
  await using server = await ApiServer.start();
  server.fail({ resource: 'events', times: 5, fault: { fault: 'status', status: 403, reason: 'Forbidden' } });
  await using daemon = teller(server);
  for (const name of ['a', 'b', 'c', 'd', 'e']) daemon.events.record(problem(name));
  await until('all are given up', () => daemon.events.counts.failed === 5);
  const warnings = daemon.log.at('warn');
  assert.equal(warnings.length, 1);
  assert.match(String(warnings[0]?.fields['remedy']), /create and patch events of events\.k8s\.io/);
});

test('one object that keeps having news does not crowd out the others, nor fill the memory', async () => {
  await using server = await ApiServer.start();
  await using daemon = teller(server, { burstPerObject: 3, maximumEvents: 8 });
  for (let index = 0; index < 20; index += 1) daemon.events.record(problem('loud', `news ${index}`));
  daemon.events.record(problem('quiet'));
  await until('all are told that may be', () => server.events.length === 4);
  assert.deepEqual(told(server), ['loud 1', 'loud 1', 'loud 1', 'quiet 1']);
  assert.equal(daemon.events.counts.dropped, 17);
  for (let index = 0; index < 20; index += 1) daemon.events.record(problem(`s${index}`));
  assert.equal(daemon.events.counts.waiting, 8);
  await until('there is room again', () => daemon.events.counts.waiting === 0);
  daemon.events.record(problem('late'));
  await until('it is told', () => told(server).includes('late 1'));
});

test('a node asks no more of the API server than its share', async () => {
  await using server = await ApiServer.start();
  await using daemon = teller(server, { perSecond: 20, burst: 5 });
  const began = performance.now();
  for (let index = 0; index < 15; index += 1) daemon.events.record(problem(`s${index}`));
  await until('all are told', () => server.events.length === 15);
  assert.ok(performance.now() - began > 450);
});

test('at the end what waits is told at once, whatever it was waiting for', async () => {
  await using server = await ApiServer.start();
  const daemon = teller(server, { perSecond: 0.1, burst: 1, seriesPause: 60_000, flush: 2_000 });
  daemon.events.record(starting);
  await until('the first is told', () => server.events.length === 1);
  daemon.events.record(starting);
  for (const name of ['a', 'b', 'c']) daemon.events.record(problem(name));
  await daemon[Symbol.asyncDispose]();
  assert.deepEqual(told(server).toSorted(), ['a 1', 'b 1', 'c 1', 'n1 2']);
  assert.deepEqual(daemon.events.counts, { sent: 5, failed: 0, dropped: 0, waiting: 0 });
});

test('at the end a server that asked for patience is asked once more, and then no more', async () => {
  await using server = await ApiServer.start();
  const busy = { fault: 'status', status: 429, retryAfterSeconds: 600 } as const;
  server.fail({ resource: 'events', fault: busy });
  const patient = teller(server, { flush: 60_000 });
  patient.events.record(starting);
  await until('it waits', () => patient.log.at('warn').length === 1);
  await patient[Symbol.asyncDispose]();
  assert.deepEqual(told(server), ['n1 1']);
  server.fail({ resource: 'events', times: 100, fault: busy });
  const hopeless = teller(server, { flush: 60_000 });
  hopeless.events.record(problem('web'));
  await until('it waits', () => hopeless.log.at('warn').length === 1);
  await hopeless[Symbol.asyncDispose]();
  assert.equal(server.pendingFaults, 1);
  assert.equal(hopeless.events.counts.dropped, 1);
});

test('the end comes in time, however silent the server is', async () => {
  await using server = await ApiServer.start();
  server.fail({ resource: 'events', times: 100, fault: { fault: 'no-answer' } });
  const requestTimeout = 60_000;
  const daemon = teller(server, { requestTimeout });
  daemon.events.record(starting);
  await until('it is being told', () => server.requests.length === 1);
  const began = performance.now();
  await daemon[Symbol.asyncDispose]();
  assert.ok(performance.now() - began < requestTimeout / 2);
  assert.equal(daemon.events.counts.dropped, 1);
});

test('a server that cannot be reached does not hold up the end', async () => {
  const daemon = teller(
    { url: 'http://127.0.0.1:1' },
    { backoff: { first: 60_000, maximum: 60_000 }, flush: 60_000 },
  );
  daemon.events.record(starting);
  await until('the first try has failed', () => daemon.log.at('warn').length === 1);
  await daemon[Symbol.asyncDispose]();
  assert.equal(daemon.events.counts.dropped, 1);
});
