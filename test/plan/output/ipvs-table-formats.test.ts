import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ipvsadmText, ipvsTableJson } from '../../../src/plan/output/ipvs-table-formats.js';
import { ip } from '../../support/objects.js';
import { at, everyOption, real, entry } from '../../support/virtual-server-entries.js';

test('the ipvsadm text has every option and is sorted', () => {
  assert.equal(
    ipvsadmText(everyOption),
    `-A -t 10.0.0.1:80 -s rr -p 360 -M 255.255.240.0
-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1
-a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 1 -x 100 -y 50
-A -u 10.0.0.1:97 -s wrr -b flag-1,flag-3
-A -u 10.0.0.1:98 -s mh -p 5 -o -b mh-fallback,mh-port
-A --sctp-service 10.0.0.1:99 -s rr
-a --sctp-service 10.0.0.1:99 -r 10.1.0.1:99 -i -w 1 --tun-type ipip
-A -u [fd00::1]:53 -s sh -p 60 -M 64 -b sh-fallback,sh-port
-a -u [fd00::1]:53 -r [fd00::2]:53 -m -w 0
-A -f 5 -6 -s wlc -p 300
-a -f 5 -6 -r [fd00::3]:0 -g -w 3
-A -f 6 -s rr
`,
  );
});

test('every format sorts 10.96.0.9 before 10.96.0.10', () => {
  const tables = [
    entry(at('TCP', '10.96.0.10', 80), {}, real('10.244.0.10', 80), real('10.244.0.9', 80)),
    entry(at('TCP', '10.96.0.9', 443), {}),
    entry(at('TCP', '10.96.0.9', 80), {}),
  ];
  assert.deepEqual(
    ipvsadmText(tables)
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(1, 5).join(' ')),
    [
      '-t 10.96.0.9:80 -s rr',
      '-t 10.96.0.9:443 -s rr',
      '-t 10.96.0.10:80 -s rr',
      '-t 10.96.0.10:80 -r 10.244.0.9:80',
      '-t 10.96.0.10:80 -r 10.244.0.10:80',
    ],
  );
  const { virtualServers, dummyAddresses } = ipvsTableJson(tables, {
    address: ['10.96.0.10', '10.96.0.9'].map(ip),
    route: [],
  });
  assert.deepEqual(Object.keys(virtualServers), [
    'TCP 10.96.0.9:80',
    'TCP 10.96.0.9:443',
    'TCP 10.96.0.10:80',
  ]);
  assert.deepEqual(dummyAddresses, ['10.96.0.9/32', '10.96.0.10/32']);
});

test('an empty table is an empty text', () => {
  assert.equal(ipvsadmText([]), '');
});

test('the JSON table includes only options that are set', () => {
  assert.deepEqual(
    ipvsTableJson(everyOption.slice(0, 2), { address: ['fd00::1', '10.0.0.1'].map(ip), route: [] }),
    {
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
    },
  );
});

test('VIPs that are local routes are listed apart from addresses, sorted', () => {
  const json = ipvsTableJson([], { address: [], route: ['fd00::1', '10.0.0.10', '10.0.0.9'].map(ip) });
  assert.deepEqual(json, {
    virtualServers: {},
    dummyAddresses: [],
    localRoutes: ['10.0.0.9/32', '10.0.0.10/32', 'fd00::1/128'],
  });
});
