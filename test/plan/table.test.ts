import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  realServerKey,
  virtualServerKey,
  type RealServer,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerTable,
} from '../../src/model/virtual-server.js';
import { ipvsadmText, tableJson } from '../../src/plan/table.js';
import { ip } from '../support/objects.js';

const real = (address: string, port: number, fields: Partial<RealServer> = {}): RealServer => ({
  key: realServerKey(ip(address), port),
  address: ip(address),
  port,
  weight: 1,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  ...fields,
});

const table = (
  identity: VirtualServerIdentity,
  fields: Partial<VirtualServer>,
  ...servers: readonly RealServer[]
): VirtualServerTable => ({
  server: {
    key: virtualServerKey(identity),
    identity,
    scheduler: 'rr',
    persistence: undefined,
    flags: [],
    ...fields,
  },
  realServers: new Map(servers.map((server) => [server.key, server])),
});

const at = (protocol: 'TCP' | 'UDP' | 'SCTP', address: string, port: number): VirtualServerIdentity => ({
  by: 'address',
  protocol,
  address: ip(address),
  port,
});

const tables: readonly VirtualServerTable[] = [
  table(
    at('UDP', 'fd00::1', 53),
    { scheduler: 'sh', persistence: { seconds: 60, prefixLength: 64 }, flags: ['sh-fallback', 'sh-port'] },
    real('fd00::2', 53, { weight: 0 }),
  ),
  table(
    at('TCP', '10.0.0.1', 80),
    { persistence: { seconds: 360, prefixLength: 20 } },
    real('10.1.0.2', 8080, { upperThreshold: 100, lowerThreshold: 50 }),
    real('10.1.0.1', 8080),
  ),
  table(
    { by: 'fwmark', fwmark: 5, family: 'IPv6' },
    { scheduler: 'wlc', persistence: { seconds: 300, prefixLength: 128 } },
    real('fd00::3', 0, { forwarding: 'direct', weight: 3 }),
  ),
  table({ by: 'fwmark', fwmark: 6, family: 'IPv4' }, {}),
  table(at('SCTP', '10.0.0.1', 99), { flags: ['ops'] }, real('10.1.0.1', 99, { forwarding: 'tunnel' })),
];

test('the ipvsadm text has every option, and is sorted', () => {
  assert.equal(
    ipvsadmText(tables),
    `-A -f 5 -6 -s wlc -p 300
-a -f 5 -6 -r [fd00::3]:0 -g -w 3
-A -f 6 -s rr
-A --sctp-service 10.0.0.1:99 -s rr -o
-a --sctp-service 10.0.0.1:99 -r 10.1.0.1:99 -i -w 1
-A -t 10.0.0.1:80 -s rr -p 360 -M 255.255.240.0
-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1
-a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 1 -x 100 -y 50
-A -u [fd00::1]:53 -s sh -p 60 -M 64 -b sh-fallback,sh-port
-a -u [fd00::1]:53 -r [fd00::2]:53 -m -w 0
`,
  );
});

test('an empty table is an empty text', () => {
  assert.equal(ipvsadmText([]), '');
});

test('the JSON table says what is set and leaves out what is not', () => {
  assert.deepEqual(tableJson(tables.slice(0, 2), ['fd00::1', '10.0.0.1'].map(ip)), {
    virtualServers: {
      'TCP 10.0.0.1:80': {
        scheduler: 'rr',
        persistent: 360,
        persistentPrefixLength: 20,
        realServers: {
          '10.1.0.1:8080': { weight: 1, forwarding: 'masquerade' },
          '10.1.0.2:8080': { weight: 1, forwarding: 'masquerade', upperThreshold: 100, lowerThreshold: 50 },
        },
      },
      'UDP [fd00::1]:53': {
        scheduler: 'sh',
        persistent: 60,
        persistentPrefixLength: 64,
        flags: ['sh-fallback', 'sh-port'],
        realServers: { '[fd00::2]:53': { weight: 0, forwarding: 'masquerade' } },
      },
    },
    dummyAddresses: ['10.0.0.1/32', 'fd00::1/128'],
  });
});
