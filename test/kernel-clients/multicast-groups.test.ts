import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multicastReceivers } from '../../src/kernel/multicast-groups.js';
import { ip } from '../support/objects.js';

// As Linux 7.2 prints them.
const igmp = `Idx	Device    : Count Querier	Group    Users Timer	Reporter
1	lo        :     1      V3
				010000E0     1 0:00000000		0
2	sync0     :     2      V3
				5049C0EF     4 0:00000000		0
				010000E0     1 0:00000000		0
3	eth0      :     1      V3
				010000E0     1 0:00000000		0
`;
const igmp6 = `1    lo              ff020000000000000000000000000001     1 0000000C 0
2    sync0           ff150000000000000000000000004950     2 00000004 0
`;
const read = (file: string): string => (file === '/proc/net/igmp' ? igmp : igmp6);

test('the sockets that receive a group on an interface are counted', () => {
  assert.equal(multicastReceivers('sync0', ip('239.192.73.80'), read), 4);
  assert.equal(multicastReceivers('sync0', ip('ff15::4950'), read), 2);
});

test('another interface, another group and a file that is missing have none', () => {
  assert.equal(multicastReceivers('eth0', ip('239.192.73.80'), read), 0);
  assert.equal(multicastReceivers('sync0', ip('224.0.0.81'), read), 0);
  assert.equal(multicastReceivers('sync0', ip('ff15::1'), read), 0);
  const missing = (): string => {
    throw new Error('ENOENT');
  };
  assert.equal(multicastReceivers('sync0', ip('239.192.73.80'), missing), 0);
});
