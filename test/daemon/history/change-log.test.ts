import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from '../../../src/admin-api/log-response.js';
import type { ServiceChange } from '../../../src/model/change-cause.js';
import type { Operation } from '../../../src/model/operation.js';
import { realServerKey, virtualServerKey } from '../../../src/model/virtual-server.js';
import { ChangeCauses } from '../../../src/daemon/history/change-causes.js';
import { ChangeLog } from '../../../src/daemon/history/change-log.js';
import { DesiredState } from '../../../src/plan/desired-state.js';
import { render } from '../../../src/plan/render/render.js';
import { context } from '../../support/reconciling.js';
import { ip, ready, service, slice } from '../../support/objects.js';

// The log of changes over a clock that the test moves.

const web = service('web', { clusterIP: '10.96.0.1' });
const of = { by: 'address', protocol: 'TCP', address: ip('10.96.0.1'), port: 80 } as const;
const key = virtualServerKey(of);

const addRealServer = (number: number): Operation => ({
  kind: 'add-real-server',
  of,
  server: {
    key: realServerKey(ip(`10.1.0.${number}`), 80),
    address: ip(`10.1.0.${number}`),
    port: 80,
    weight: 1,
    forwarding: 'masquerade',
    upperThreshold: 0,
    lowerThreshold: 0,
  },
});

const operations = Array.from({ length: 256 }, (_, number) => addRealServer(number));

const start = () => {
  const clock = { now: Date.parse('2026-11-23T03:00:00Z') };
  const desired = new DesiredState();
  const rendered = render(web, [slice('web', [{ ...ready('10.1.0.1'), pod: 'web-1' }])], context);
  desired.replace(web.key, rendered);
  const causes = new ChangeCauses(desired);
  const log = new ChangeLog({
    causes,
    observed: { virtualServer: () => undefined },
    endpointOf: (virtualServer, realServer) => desired.endpointOf(virtualServer, realServer),
    clocks: () => ({ date: clock.now, monotonic: clock.now }),
  });
  const read = (query: { after?: number; since?: number; service?: string } = {}): LogRecord[] => {
    const { after = 0, since = 0, service: named } = query;
    return [...log.read({ after, since, service: named }).records].map(
      (text) => JSON.parse(text) as LogRecord,
    );
  };
  const changed = (change: ServiceChange): void =>
    causes.updateBegan(new Map([[web.key, change]]), undefined);
  return { clock, desired, causes, log, read, changed };
};

test('an operation is recorded with its time, Service, endpoint and cause', () => {
  const { log, read, changed, clock } = start();
  changed('endpoints-changed');
  log.applied(addRealServer(1), 'changes');
  assert.deepEqual(read(), [
    {
      id: clock.now,
      at: '2026-11-23T03:00:00.000Z',
      event: 'changed',
      cause: 'endpoints-changed',
      service: 'default/web',
      op: 'add',
      kind: 'real-server',
      virtualServer: 'TCP 10.96.0.1:80',
      key: '10.1.0.1:80',
      wanted: { forwarding: 'masquerade', weight: 1 },
      pod: 'default/web-1',
      node: 'n2',
    },
  ]);
});

test('the cause of an operation depends on the run, on what changed, and on why all was rendered', () => {
  const { log, read, causes, changed } = start();
  const causeAfter = (run: Parameters<ChangeLog['applied']>[1]): string | undefined => {
    log.applied(addRealServer(1), run);
    return read().at(-1)?.cause;
  };
  assert.equal(causeAfter('changes'), 'follow-up');
  changed('service-added');
  assert.deepEqual(
    (['changes', 'start', 'take-over', 'drift', 'retry', 'drain-ended', 'reread'] as const).map(causeAfter),
    ['service-added', 'start', 'take-over', 'drift', 'retry', 'drain-ended', 'service-added'],
  );
  causes.updateBegan(new Map(), 'settings-changed');
  assert.deepEqual([causeAfter('changes'), causeAfter('reread')], ['settings-changed', 'reread']);
  log.ended();
  assert.equal(causeAfter('changes'), 'follow-up', 'a run that ended explains no later operation');
});

test('the objects of a deleted Service still have its name', () => {
  const { log, read, desired, causes } = start();
  const keys = desired.replace(web.key, undefined);
  causes.updateBegan(new Map([[web.key, 'service-deleted']]), undefined);
  causes.rendered(web.key, keys);
  log.applied({ kind: 'delete-virtual-server', server: of }, 'changes');
  log.applied({ kind: 'unbind-address', address: of.address, binding: 'address' }, 'changes');
  assert.deepEqual(
    read().map(({ service: named, cause, op, kind }) => [named, cause, op, kind]),
    [
      ['default/web', 'service-deleted', 'remove', 'virtual-server'],
      ['default/web', 'service-deleted', 'remove', 'address'],
    ],
  );
});

test('VIPs that another program changed are drift, also in the run for a change', () => {
  const { log, read, changed, causes } = start();
  changed('endpoints-changed');
  causes.drifted([of.address]);
  log.applied({ kind: 'bind-address', address: of.address, binding: 'address' }, 'changes');
  log.applied(addRealServer(1), 'changes');
  assert.deepEqual(
    read().map(({ cause }) => cause),
    ['drift', 'endpoints-changed'],
  );
});

test('of a bulk of changes the first are listed and the others counted; what follows is listed again', () => {
  const { log, read, changed, clock } = start();
  changed('endpoints-changed');
  for (let count = 0; count < 400; count += 1)
    for (const operation of operations) log.applied(operation, 'changes');
  log.ended();
  const bulk = read();
  assert.equal(bulk.length, 501);
  const { event, count, counts } = bulk.at(-1) ?? {};
  assert.deepEqual(
    [event, count, counts],
    [
      'summary',
      101_900,
      [{ event: 'changed', op: 'add', kind: 'real-server', cause: 'endpoints-changed', count: 101_900 }],
    ],
  );
  clock.now += 1_000;
  log.applied({ kind: 'delete-virtual-server', server: of }, 'drift');
  assert.equal(read().at(-1)?.kind, 'virtual-server');
});

test('an hour of bulk after bulk drops nothing of that hour, and stays within its bounds', () => {
  const { log, read, changed, clock } = start();
  const began = clock.now;
  for (let second = 0; second < 3_600; second += 1) {
    changed('endpoints-changed');
    for (let count = 0; count < 2; count += 1)
      for (const operation of operations) log.applied(operation, 'changes');
    log.drain({ of: key, realServer: realServerKey(ip('10.1.0.1'), 80), end: undefined });
    log.ended();
    clock.now += 1_000;
  }
  const records = read();
  assert.equal(log.keptSince, began);
  assert.ok(records.length <= 12_000, String(records.length));
  const listed = records.filter((one) => one.event !== 'summary').length;
  const counted = records.reduce((sum, one) => sum + (one.count ?? 0), 0);
  const last = records.at(-1);
  assert.ok(3_600 * 513 - listed - counted <= 10 * 513, 'only the last summary is pending');
  assert.ok(Date.parse(last?.at ?? '') > clock.now - 12_000);
});

test('a Service that changes all the time does not keep the changes of others out of the log', () => {
  const { log, read, changed, clock } = start();
  const other: Operation = {
    kind: 'unbind-address',
    address: ip('10.96.7.7'),
    binding: 'address',
  };
  for (let minute = 0; minute < 60; minute += 1) {
    for (let run = 0; run < 60; run += 1) {
      changed('endpoints-changed');
      for (const operation of operations.slice(0, 10)) log.applied(operation, 'changes');
      log.ended();
      clock.now += 1_000;
    }
    log.applied(other, 'changes');
    log.ended();
  }
  const of = read().filter(({ event }) => event === 'changed');
  assert.equal(of.filter(({ service: named }) => named === undefined).length, 60);
  const busy = of.filter(({ service: named }) => named === 'default/web').length;
  assert.ok(busy > 3_600 && busy < 8_000, String(busy));
});

test('refused operations and drains have their Service, their cause and how they ended', () => {
  const { log, read, changed } = start();
  changed('endpoints-changed');
  log.began('changes');
  log.refused({ kind: 'virtual-server', key }, { operation: '+ virtual server', reason: 'EINVAL' });
  log.refused({ kind: 'address', address: of.address }, { operation: '+ address', reason: 'EPERM' });
  const realServer = realServerKey(ip('10.1.0.1'), 80);
  log.drain({ of: key, realServer, end: undefined });
  log.drain({ of: key, realServer, end: { reason: 'deadline', milliseconds: 15_000.4 } });
  assert.deepEqual(
    read().map(({ event, cause, service: named, reason, seconds }) => [event, cause, named, reason, seconds]),
    [
      ['refused', 'endpoints-changed', 'default/web', 'EINVAL', undefined],
      ['refused', 'endpoints-changed', 'default/web', 'EPERM', undefined],
      ['drain-begun', 'endpoints-changed', 'default/web', undefined, undefined],
      ['drain-ended', undefined, 'default/web', 'deadline', 15],
    ],
  );
});

test('a query selects by Service, time and id; a summary may be about every Service', () => {
  const { log, read, changed, clock } = start();
  changed('endpoints-changed');
  log.applied(addRealServer(1), 'changes');
  log.ended();
  changed('endpoints-changed');
  clock.now += 60_000;
  log.note({ event: 'started', details: ['v1'] });
  for (const operation of operations.slice(5)) log.applied(operation, 'changes');
  for (const operation of operations.slice(6)) log.applied(operation, 'changes');
  log.ended();
  assert.equal(read({ since: clock.now }).length, 502);
  assert.equal(read({ service: 'default/web' }).length, 502);
  assert.deepEqual(
    read({ service: 'default/other' }).map(({ event }) => event),
    ['summary'],
  );
  const { lastId } = log.read({ after: 0, since: 0, service: undefined });
  assert.deepEqual(
    read({ after: lastId - 1 }).map(({ event }) => event),
    ['summary'],
  );
  assert.deepEqual(read({ after: lastId }), []);
});

test('a reader waits for the next record, or until its time is over', async () => {
  const { log, changed } = start();
  log.note({ event: 'started' });
  const { lastId } = log.read({ after: 0, since: 0, service: undefined });
  await log.waitForRecord(lastId - 1, 60_000);
  const waiting = log.waitForRecord(lastId, 60_000);
  changed('endpoints-changed');
  log.applied(addRealServer(1), 'changes');
  await waiting;
  // A reader does not keep the process running.
  const alive = setInterval(() => undefined, 1_000);
  await log.waitForRecord(lastId + 1, 1);
  clearInterval(alive);
});
