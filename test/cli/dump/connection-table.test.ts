import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Readable } from 'node:stream';
import { InputError } from '../../../src/base/errors.js';
import {
  connectionMatcher,
  parseConnection,
  sortedConnections,
  type Connection,
  type ConnectionFilter,
} from '../../../src/cli/dump/connection-table.js';

// As kernel 6.1 writes /proc/net/ip_vs_conn.
const lines = [
  'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData',
  'TCP C0000202 9C40 0A600001 0050 0AF4010B 1F90 ESTABLISHED     897',
  'UDP 0AF40105 D431 0A60000A 0035 0AF40203 14E9 UDP             298',
  'TCP fd00:0000:0000:0000:0000:0000:0000:0007 9C40 fd00:0010:0096:0000:0000:0000:0000:000a 01BB fd00:0010:0244:0000:0000:0000:0000:0003 20FB TIME_WAIT        12',
];
const connections = lines.flatMap((line) => parseConnection(line) ?? []);

test('lines of both families are read, titles and nonsense left out', () => {
  assert.deepEqual(connections, [
    {
      protocol: 'TCP',
      client: '192.0.2.2:40000',
      virtual: '10.96.0.1:80',
      real: '10.244.1.11:8080',
      state: 'ESTABLISHED',
      expiresSeconds: 897,
    },
    {
      protocol: 'UDP',
      client: '10.244.1.5:54321',
      virtual: '10.96.0.10:53',
      real: '10.244.2.3:5353',
      state: 'UDP',
      expiresSeconds: 298,
    },
    {
      protocol: 'TCP',
      client: '[fd00::7]:40000',
      virtual: '[fd00:10:96::a]:443',
      real: '[fd00:10:244::3]:8443',
      state: 'TIME_WAIT',
      expiresSeconds: 12,
    },
  ]);
  for (const line of ['', 'TCP', 'TCP C0000202 9C40 nonsense 0050 0AF4010B 1F90 ESTABLISHED 1'])
    assert.equal(parseConnection(line), undefined);
});

const to = (virtual: string, client: string, protocol = 'TCP'): Connection => ({
  protocol,
  client,
  virtual,
  real: '10.244.0.1:80',
  state: 'ESTABLISHED',
  expiresSeconds: 1,
});

test('they are sorted by virtual server and client, by number; too many come as they are, and that is said', async () => {
  const unsorted = [
    to('[fd00::1]:80', '[fd00::2]:1'),
    to('10.96.0.10:80', '192.0.2.1:1'),
    to('10.96.0.9:80', '192.0.2.10:1', 'UDP'),
    to('10.96.0.9:80', '192.0.2.10:1'),
    to('10.96.0.9:443', '192.0.2.1:1'),
    to('10.96.0.9:80', '192.0.2.9:20000'),
    to('10.96.0.9:80', '192.0.2.9:9000'),
  ];
  const told: number[] = [];
  const sorted = async (most: number): Promise<readonly Connection[]> => {
    const found: Connection[] = [];
    for await (const connection of sortedConnections(
      Readable.from(unsorted),
      (limit) => told.push(limit),
      most,
    ))
      found.push(connection);
    return found;
  };
  assert.deepEqual(
    (await sorted(unsorted.length)).map(
      ({ protocol, virtual, client }) => `${protocol} ${virtual} ${client}`,
    ),
    [
      'TCP 10.96.0.9:80 192.0.2.9:9000',
      'TCP 10.96.0.9:80 192.0.2.9:20000',
      'TCP 10.96.0.9:80 192.0.2.10:1',
      'UDP 10.96.0.9:80 192.0.2.10:1',
      'TCP 10.96.0.9:443 192.0.2.1:1',
      'TCP 10.96.0.10:80 192.0.2.1:1',
      'TCP [fd00::1]:80 [fd00::2]:1',
    ],
  );
  assert.deepEqual(told, []);
  assert.deepEqual(await sorted(unsorted.length - 1), unsorted);
  assert.deepEqual(told, [unsorted.length - 1]);
});

const none: ConnectionFilter = {
  client: undefined,
  real: undefined,
  states: [],
  matchesVirtualServer: () => true,
};
const matched = (filter: Partial<ConnectionFilter>): readonly number[] =>
  connections.flatMap((connection, index) =>
    connectionMatcher({ ...none, ...filter })(connection) ? [index] : [],
  );

test('filters: client and real server by address, network or socket; state; virtual server', () => {
  assert.deepEqual(matched({}), [0, 1, 2]);
  assert.deepEqual(matched({ client: '192.0.2.2' }), [0]);
  assert.deepEqual(matched({ client: '10.244.0.0/16' }), [1]);
  assert.deepEqual(matched({ client: 'fd00::/16' }), [2]);
  assert.deepEqual(matched({ real: '[fd00:10:244::3]:8443' }), [2]);
  assert.deepEqual(matched({ real: '10.244.2.3:80' }), []);
  assert.deepEqual(matched({ states: ['established', 'UDP'] }), [0, 1]);
  assert.deepEqual(matched({ matchesVirtualServer: (key) => key === 'TCP 10.96.0.1:80' }), [0]);
  assert.throws(() => matched({ client: 'web' }), InputError);
});
