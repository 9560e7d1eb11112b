import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countByProtocol, DrainCounters } from '../../../src/apply/drain/drain-counters.js';
import {
  realServerKey,
  virtualServerKey,
  type RealServer,
  type RealServerKey,
  type VirtualServerKey,
} from '../../../src/model/virtual-server.js';
import type { Draining, DrainingServers, DrainStep } from '../../../src/plan/drain/drain-step.js';
import { drainRecord } from '../../../src/plan/drain/drain-records.js';
import { ip } from '../../support/objects.js';

const of = { by: 'address', protocol: 'TCP', address: ip('10.96.0.1'), port: 80 } as const;
const pod = (number: number): RealServerKey => realServerKey(ip(`10.1.0.${number}`), 80);
const server = (number: number): RealServer => ({
  key: pod(number),
  address: ip(`10.1.0.${number}`),
  port: 80,
  weight: 0,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
});
const held = (number: number) => ({
  since: 0,
  until: 0,
  record: drainRecord(of, server(number), 0, undefined),
  liveness: undefined,
  node: undefined,
});
const draining = (...pods: readonly number[]): Draining =>
  new Map([[virtualServerKey(of), new Map(pods.map((number) => [pod(number), held(number)]))]]);
/** The real servers that were draining before a step. */
const before =
  (all: Draining) =>
  (key: VirtualServerKey): DrainingServers =>
    all.get(key) ?? new Map();
const step = (
  keep: readonly number[],
  deleted: readonly number[],
  dead: readonly number[] = [],
): DrainStep => ({
  stillDraining: draining(...keep),
  delete: deleted.map((number) => ({ kind: 'delete-real-server', of, server: server(number) })),
  purged: dead.map((number) => ({ of, realServer: pod(number), reason: 'dead' })),
});

test('every drain that starts is counted with exactly one end', () => {
  const counters = new DrainCounters();
  counters.recordStep(before(new Map()), step([1, 2, 3], []));
  assert.equal(counters.counts.TCP.started, 3);
  counters.recordStep(before(draining(1, 2, 3)), step([3], [1, 2], [2]));
  assert.deepEqual(counters.counts.TCP.ended, {
    idle: 1,
    dead: 1,
    'node-gone': 0,
    deadline: 0,
    withdrawn: 0,
  });
  counters.recordStep(before(draining(3)), { stillDraining: draining(), delete: [], purged: [] });
  assert.deepEqual(counters.counts.TCP.ended, {
    idle: 1,
    dead: 1,
    'node-gone': 0,
    deadline: 0,
    withdrawn: 1,
  });
  assert.equal(counters.counts.TCP.started, 3);
});

test('a real server that is idle at its first check starts and ends its drain at once', () => {
  const counters = new DrainCounters();
  counters.recordStep(before(draining(1)), step([1], [9]));
  assert.deepEqual(
    [counters.counts.TCP.started, counters.counts.TCP.ended.idle, counters.counts.TCP.ended.withdrawn],
    [1, 1, 0],
  );
});

test('each protocol is counted separately', () => {
  const counters = new DrainCounters();
  const flows = { ...of, protocol: 'UDP' } as const;
  counters.recordStep(before(draining(1)), {
    stillDraining: draining(1),
    delete: [{ kind: 'delete-real-server', of: flows, server: server(1) }],
    purged: [{ of: flows, realServer: pod(1), reason: 'deadline' }],
  });
  const { TCP, UDP } = counters.counts;
  assert.deepEqual([TCP.started, UDP.started, UDP.ended.deadline, UDP.ended.idle], [0, 1, 1, 0]);
  assert.deepEqual(countByProtocol([...draining(1, 2)].map(([key, { size }]) => [key, size])), {
    TCP: 2,
    UDP: 0,
    SCTP: 0,
  });
});

test('the events of a step say how each drain ended, and how long it took', () => {
  const counters = new DrainCounters();
  const since = new Map(
    [1, 2, 3].map((number) => [pod(number), { ...held(number), since: number * 1_000 }] as const),
  );
  const events = counters.recordStep(() => since, step([4], [1, 2, 9], [2]), 10_000);
  assert.deepEqual(
    events.map(({ of: key, realServer, end }) => [
      `${key} ${realServer}`,
      end === undefined ? 'begun' : `${end.reason} ${end.milliseconds}`,
    ]),
    [
      ['TCP 10.96.0.1:80 10.1.0.1:80', 'idle 9000'],
      ['TCP 10.96.0.1:80 10.1.0.2:80', 'dead 8000'],
      ['TCP 10.96.0.1:80 10.1.0.9:80', 'begun'],
      ['TCP 10.96.0.1:80 10.1.0.9:80', 'idle 0'],
      ['TCP 10.96.0.1:80 10.1.0.4:80', 'begun'],
      ['TCP 10.96.0.1:80 10.1.0.3:80', 'withdrawn 7000'],
    ],
  );
});
