import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOperation } from '../../src/model/operation.js';
import {
  realServerKey,
  virtualServerKey,
  type RealServerObservation,
  type VirtualServerTable,
} from '../../src/model/virtual-server.js';
import { defaultDrainSettings, drainingAmong, drainStep, type Draining } from '../../src/plan/drain.js';
import { ip } from '../support/objects.js';

const identity = { by: 'address', protocol: 'TCP', address: ip('10.96.0.1'), port: 80 } as const;
const key = virtualServerKey(identity);
const minute = 60_000;

const observed = (last: number, fields: Partial<RealServerObservation> = {}): RealServerObservation => ({
  key: realServerKey(ip(`10.1.0.${last}`), 80),
  address: ip(`10.1.0.${last}`),
  port: 80,
  weight: 0,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  activeConnections: 0,
  inactiveConnections: 0,
  persistentConnections: 0,
  statistics: undefined,
  ...fields,
});

const tableOf = (...servers: readonly RealServerObservation[]): VirtualServerTable => ({
  server: { key, identity, scheduler: 'rr', persistence: undefined, flags: [] },
  realServers: new Map(servers.map((server) => [server.key, server])),
});
const holding = (table: VirtualServerTable | undefined) => ({ virtualServer: () => table });
/** Wants the virtual server with 10.1.0.9 alone. */
const wanted = holding(tableOf(observed(9)));

const step = (servers: readonly RealServerObservation[], draining: Draining = new Map(), now = 0) =>
  drainStep({
    draining,
    observations: new Map([[key, servers]]),
    wanted,
    now,
    settings: defaultDrainSettings,
  });

const rows: readonly [
  claim: string,
  server: RealServerObservation,
  fate: 'deleted' | 'kept' | 'left alone',
][] = [
  ['without connections', observed(1), 'deleted'],
  ['with active connections', observed(1, { activeConnections: 1 }), 'kept'],
  ['with inactive connections', observed(1, { inactiveConnections: 1 }), 'kept'],
  ['with a weight', observed(1, { weight: 1 }), 'left alone'],
  ['that is wanted, even with weight 0', observed(9), 'left alone'],
];

for (const [claim, server, fate] of rows)
  test(`a real server ${claim} is ${fate}`, () => {
    const { delete: deleted, keep } = step([server]);
    assert.deepEqual(
      deleted.map(formatOperation),
      fate === 'deleted' ? [`- real TCP 10.96.0.1:80 → ${server.key}`] : [],
    );
    assert.deepEqual(keep, new Map(fate === 'kept' ? [[key, new Map([[server.key, 0]])]] : []));
  });

test('the deadline counts from the first look, and a later look does not put it off', () => {
  const busy = observed(1, { activeConnections: 1 });
  const first = step([busy], new Map(), 3 * minute).keep;
  const second = step([busy], first, 10 * minute);
  assert.equal(second.keep.get(key)?.get(busy.key), 3 * minute);
  assert.equal(step([busy], second.keep, 18 * minute - 1).delete.length, 0);
  assert.equal(step([busy], second.keep, 18 * minute).delete.length, 1);
});

test('what was not read goes on draining, unless it is wanted again or its virtual server is not', () => {
  const draining: Draining = new Map([
    [
      key,
      new Map([
        [observed(1).key, 5],
        [observed(9).key, 5],
      ]),
    ],
  ]);
  const unread = { draining, observations: new Map(), now: 10, settings: defaultDrainSettings };
  assert.deepEqual(drainStep({ ...unread, wanted }).keep, new Map([[key, new Map([[observed(1).key, 5]])]]));
  assert.deepEqual(drainStep({ ...unread, wanted: holding(undefined) }).keep, new Map());
});

test('nothing is deleted of a virtual server that nobody wants', () => {
  const input = { draining: new Map(), observations: new Map([[key, [observed(1)]]]), now: 0 };
  assert.deepEqual(
    drainStep({ ...input, wanted: holding(undefined), settings: defaultDrainSettings }).delete,
    [],
  );
});

test('only virtual servers with an unwanted real server of weight 0 need to be read', () => {
  const among = (...servers: readonly RealServerObservation[]) =>
    drainingAmong([key], wanted, holding(tableOf(...servers)), defaultDrainSettings).length;
  assert.equal(among(observed(1)), 1);
  assert.equal(among(observed(1), observed(2)), 1);
  assert.equal(among(observed(1, { weight: 1 })), 0);
  assert.equal(among(observed(9)), 0);
  assert.equal(among(), 0);
});
