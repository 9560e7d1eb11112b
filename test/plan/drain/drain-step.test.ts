import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../../src/model/endpoint.js';
import type { ElementKey } from '../../../src/nftables/declarations.js';
import { formatOperation } from '../../../src/model/plan-entry.js';
import {
  realServerKey,
  virtualServerKey,
  type RealServerObservation,
  type Statistics,
  type VirtualServerEntry,
  type VirtualServerKey,
  type DesiredVirtualServer,
} from '../../../src/model/virtual-server.js';
import {
  defaultDrainSettings,
  virtualServersWithDraining,
  drainStep,
  type Draining,
  type DrainingServers,
} from '../../../src/plan/drain/drain-step.js';
import {
  drainRecord,
  isDrainRecord,
  recordedDeadline,
  recordedSince,
} from '../../../src/plan/drain/drain-records.js';
import { ip, ready, slice, type EndpointSpec } from '../../support/objects.js';

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

const noStatistics: Statistics = {
  connections: 0n,
  inPackets: 0n,
  outPackets: 0n,
  inBytes: 0n,
  outBytes: 0n,
  connectionsPerSecond: 0n,
  inPacketsPerSecond: 0n,
  outPacketsPerSecond: 0n,
  inBytesPerSecond: 0n,
  outBytesPerSecond: 0n,
};

const tableOf = (...servers: readonly RealServerObservation[]): VirtualServerEntry => ({
  server: { key, identity, scheduler: 'rr', persistence: undefined, flags: [] },
  realServers: new Map(servers.map((server) => [server.key, server])),
});
const holding = (table: DesiredVirtualServer | undefined) => ({ virtualServer: () => table });
/** Desires the virtual server with only 10.1.0.9. */
const wanted = holding(tableOf(observed(9)));

const endpointOf = (spec: EndpointSpec | undefined): Endpoint | undefined =>
  spec && slice('web', [spec]).endpoints[0];

/** A real server that has been draining since that time. */
const held = (last: number, since: number) => ({
  since,
  until: since + 15 * minute,
  record: drainRecord(identity, observed(last), since, undefined),
  liveness: undefined,
  node: undefined,
});

const drainingBefore =
  (draining: Draining) =>
  (of: VirtualServerKey): DrainingServers =>
    draining.get(of) ?? new Map();

const nothingKnown = {
  unreadable: [],
  isOrphan: () => false,
  recordOf: () => undefined,
  endpointOf: () => undefined,
  isNodeDeleted: () => false,
};

const step = (servers: readonly RealServerObservation[], draining: Draining = new Map(), now = 0) =>
  drainStep({
    drainingOf: drainingBefore(draining),
    observations: new Map([[key, servers]]),
    desired: wanted,
    now,
    settings: defaultDrainSettings,
    ...nothingKnown,
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
  ['that is desired, even with weight 0', observed(9), 'left alone'],
];

for (const [claim, server, fate] of rows)
  test(`a real server ${claim} is ${fate}`, () => {
    const { delete: deleted, stillDraining } = step([server]);
    assert.deepEqual(
      deleted.map(formatOperation),
      fate === 'deleted' ? [`- real server TCP 10.96.0.1:80 → ${server.key}`] : [],
    );
    assert.deepEqual([...(stillDraining.get(key)?.keys() ?? [])], fate === 'kept' ? [server.key] : []);
  });

test('the deadline counts from the first check, and later checks do not extend it', () => {
  const busy = observed(1, { activeConnections: 1 });
  const first = step([busy], new Map(), 3 * minute).stillDraining;
  const second = step([busy], first, 10 * minute);
  assert.equal(second.stillDraining.get(key)?.get(busy.key)?.since, 3 * minute);
  assert.equal(step([busy], second.stillDraining, 18 * minute - 1).delete.length, 0);
  assert.equal(step([busy], second.stillDraining, 18 * minute).delete.length, 1);
});

test('an unread real server continues to drain unless it is desired again or its virtual server is not desired', () => {
  const since5 = held(1, 5);
  const draining: Draining = new Map([
    [
      key,
      new Map([
        [observed(1).key, since5],
        [observed(9).key, since5],
      ]),
    ],
  ]);
  const unread = {
    drainingOf: drainingBefore(draining),
    observations: new Map(),
    now: 10,
    settings: defaultDrainSettings,
    ...nothingKnown,
    unreadable: [key],
  };
  assert.deepEqual(
    drainStep({ ...unread, desired: wanted }).stillDraining,
    new Map([[key, new Map([[observed(1).key, since5]])]]),
  );
  assert.deepEqual(
    drainStep({ ...unread, desired: holding(undefined) }).stillDraining,
    new Map([[key, new Map()]]),
  );
});

test('no real server of an undesired virtual server is deleted', () => {
  const input = {
    drainingOf: drainingBefore(new Map()),
    observations: new Map([[key, [observed(1)]]]),
    now: 0,
    ...nothingKnown,
  };
  assert.deepEqual(
    drainStep({ ...input, desired: holding(undefined), settings: defaultDrainSettings }).delete,
    [],
  );
});

test('only virtual servers with an undesired real server of weight 0 need to be read', () => {
  const among = (...servers: readonly RealServerObservation[]) =>
    virtualServersWithDraining([key], wanted, holding(tableOf(...servers)), defaultDrainSettings).length;
  assert.equal(among(observed(1)), 1);
  assert.equal(among(observed(1), observed(2)), 1);
  assert.equal(among(observed(1, { weight: 1 })), 0);
  assert.equal(among(observed(9)), 0);
  assert.equal(among(), 0);
});

/** What a check observes of a real server with connections: time, packets in and out, active connections, and packets without payload. */
type Look = readonly [
  seconds: number,
  inPackets: number,
  outPackets: number,
  active?: number,
  empty?: number,
];

const seen = (
  [, inPackets, outPackets, active = 2, empty = 0]: Look,
  fields: Partial<RealServerObservation>,
) =>
  observed(1, {
    activeConnections: active,
    inactiveConnections: 1,
    statistics: {
      ...noStatistics,
      inPackets: BigInt(inPackets),
      inBytes: BigInt(empty * 52 + (inPackets - empty) * 54),
      outPackets: BigInt(outPackets),
    },
    ...fields,
  });

/** The second at which these checks find the real server dead. */
const foundDead = (
  looks: readonly Look[],
  fields: Partial<RealServerObservation> = {},
): number | undefined => {
  let draining: Draining = new Map();
  for (const look of looks) {
    const { stillDraining, delete: deleted, purged } = step([seen(look, fields)], draining, look[0] * 1_000);
    if (deleted.length > 0) {
      assert.deepEqual(
        purged.map(({ reason }) => reason),
        ['dead'],
      );
      return look[0];
    }
    draining = stillDraining;
  }
  return undefined;
};

const lives: readonly [claim: string, looks: readonly Look[], dead: number | undefined][] = [
  [
    'clients send repeatedly and get no reply',
    [
      [0, 10, 9],
      [3, 14, 9],
      [6, 15, 9],
      [9, 15, 9],
    ],
    9,
  ],
  [
    'a reply arrives at the last moment',
    [
      [0, 10, 9],
      [3, 14, 9],
      [6, 15, 9],
      [9, 15, 10],
      [12, 15, 10],
    ],
    undefined,
  ],
  [
    'the checks in between see no packets',
    [
      [0, 10, 9],
      [3, 14, 9],
      [6, 14, 9],
      [9, 15, 9],
      [12, 15, 9],
    ],
    12,
  ],
  [
    'it replies',
    [
      [0, 10, 9],
      [3, 15, 10],
      [6, 20, 11],
      [9, 30, 12],
    ],
    undefined,
  ],
  [
    'it replies at every second check',
    [
      [0, 10, 9],
      [3, 20, 9],
      [6, 20, 10],
      [9, 30, 10],
      [12, 30, 11],
    ],
    undefined,
  ],
  [
    'no packets arrive',
    [
      [0, 10, 9],
      [3, 10, 9],
      [6, 10, 9],
      [600, 10, 9],
    ],
    undefined,
  ],
  [
    'acknowledgements arrive after the reply was counted',
    [
      [0, 10, 19],
      [3, 18, 19],
      [6, 18, 19],
      [9, 18, 19],
    ],
    undefined,
  ],
  [
    'acknowledgements arrive late, then a request whose reply is counted with the next check',
    [
      [0, 10, 19],
      [3, 18, 19],
      [6, 19, 19],
      [9, 19, 20],
    ],
    undefined,
  ],
  [
    'keepalive probes of an idle client get no reply',
    [
      [0, 10, 9],
      [75, 11, 9, 2, 1],
      [150, 12, 9, 2, 2],
      [153, 12, 9, 2, 2],
    ],
    153,
  ],
  [
    'a slow reader sends window updates ever less often',
    [
      [0, 10, 9],
      [3, 13, 9, 2, 3],
      [6, 14, 9, 2, 4],
      [9, 14, 9, 2, 4],
      [18, 15, 9, 2, 5],
      [36, 16, 9, 2, 6],
      [72, 17, 9, 2, 7],
      [75, 17, 9, 2, 7],
      [120, 17, 9, 2, 7],
    ],
    undefined,
  ],
  [
    'checks are too close together',
    [
      [0, 10, 9],
      [1, 12, 9],
      [2, 14, 9],
      [3, 16, 9],
      [4, 17, 9],
    ],
    undefined,
  ],
  [
    'clients end their connections with RST',
    [
      [0, 10, 9, 9],
      [3, 13, 9, 6],
      [6, 16, 9, 3],
      [9, 19, 9, 0],
    ],
    undefined,
  ],
  [
    'the counters were reset',
    [
      [0, 10, 9],
      [3, 12, 9],
      [6, 1, 0],
      [9, 2, 0],
      [12, 2, 0],
    ],
    undefined,
  ],
];
for (const [claim, looks, dead] of lives)
  test(`a draining real server where ${claim} is ${dead === undefined ? 'not dead' : `dead at ${dead} s`}`, () =>
    assert.equal(foundDead(looks), dead));

test('a real server whose replies do not pass this node is never found dead', () => {
  const looks: readonly Look[] = [
    [0, 10, 0],
    [3, 20, 0],
    [6, 30, 0],
    [9, 40, 0],
  ];
  assert.equal(foundDead(looks), 9);
  assert.equal(foundDead(looks, { forwarding: 'direct' }), undefined);
  assert.equal(foundDead(looks, { statistics: undefined }), undefined);
});

test('a real server on a deleted node is purged with its connections; others, also those on unknown nodes, continue to drain', () => {
  const busy = [1, 2, 3].map((last) => observed(last, { activeConnections: 1 }));
  const nodes = new Map([
    [observed(1).key, ready('10.1.0.1', { on: 'gone' })],
    [observed(2).key, ready('10.1.0.2', { on: 'alive' })],
  ]);
  const { purged, stillDraining } = drainStep({
    ...nothingKnown,
    drainingOf: drainingBefore(new Map()),
    observations: new Map([[key, busy]]),
    desired: wanted,
    now: 0,
    settings: defaultDrainSettings,
    recordOf: () => undefined,
    endpointOf: (_, realServer) => endpointOf(nodes.get(realServer)),
    isNodeDeleted: (name) => name === 'gone',
  });
  assert.deepEqual(purged, [{ of: identity, realServer: '10.1.0.1:80', reason: 'node-gone' }]);
  assert.deepEqual([...(stillDraining.get(key)?.keys() ?? [])], ['10.1.0.2:80', '10.1.0.3:80']);
});

test('a real server past its deadline is purged; an idle one is not, because it has no connections to reset', () => {
  const reasons = (server: RealServerObservation, now: number): readonly string[] =>
    step([server], new Map([[key, new Map([[server.key, held(1, 0)]])]]), now).purged.map(
      ({ reason }) => reason,
    );
  assert.deepEqual(reasons(observed(1, { activeConnections: 1 }), 15 * minute), ['deadline']);
  assert.deepEqual(reasons(observed(1), 15 * minute), []);
});

test('the start is taken from the record of an earlier process; an impossible start is ignored', () => {
  const busy = observed(1, { activeConnections: 1 });
  const sinceBy = (comment: string | undefined) => {
    const { stillDraining } = drainStep({
      drainingOf: drainingBefore(new Map()),
      observations: new Map([[key, [busy]]]),
      desired: wanted,
      now: 100_000,
      settings: defaultDrainSettings,
      ...nothingKnown,
      recordOf: (asked) =>
        asked === 'IPv4 draining 10.96.0.1 . TCP . 80 . 10.1.0.1 . 80'
          ? { ...drainRecord(identity, busy, 0, undefined), comment }
          : undefined,
    });
    return stillDraining.get(key)?.get(busy.key)?.since;
  };
  assert.equal(sinceBy('since 12.5 s after boot'), 12_500);
  assert.equal(sinceBy('since 12.5 s after boot, for 90 s'), 12_500);
  for (const odd of ['since 101 s after boot', 'since yesterday', 'since -5 s after boot', '', undefined])
    assert.equal(sinceBy(odd), 100_000, odd ?? 'undefined');
});

test('a drain record is read back unchanged, with the deadline of its Service', () => {
  const busy = observed(1, { activeConnections: 1 });
  const { stillDraining } = drainStep({
    drainingOf: drainingBefore(new Map()),
    observations: new Map([[key, [busy]]]),
    desired: holding({ ...tableOf(observed(9)), drainMilliseconds: 90_000 }),
    now: 1_234_567,
    settings: defaultDrainSettings,
    ...nothingKnown,
  });
  const { record, until } = stillDraining.get(key)?.get(busy.key) ?? held(1, 0);
  assert.equal(record.comment, 'since 1234.567 s after boot, for 90 s');
  assert.equal(until, 1_324_567);
  assert.equal(recordedSince(record, 2_000_000), 1_234_567);
  assert.equal(recordedDeadline(record), 90_000);
  assert.ok(isDrainRecord(record.key));
  assert.ok(!isDrainRecord('IPv6 cluster-ip fd00::1 . TCP . 80' as ElementKey));
});
