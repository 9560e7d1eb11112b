import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  reservedAddresses,
  sameReservedAddresses,
  type ReservedAddressesInput,
} from '../../../src/plan/render/reserved-addresses.js';
import { ip, ready, service, slice } from '../../support/objects.js';

const nothing: ReservedAddressesInput = {
  gateways: [],
  service: undefined,
  slices: [],
  apiServerHost: undefined,
};
const kubernetes = service('kubernetes', { clusterIPs: ['10.96.0.1', 'fd00::1'] });
const endpoints = slice('kubernetes', [ready('192.0.2.10'), ready('192.0.2.11')]);

const rows: readonly [claim: string, given: Partial<ReservedAddressesInput>, addresses: readonly string[]][] =
  [
    ['none by default', {}, []],
    ['gateways', { gateways: [ip('192.0.2.1'), ip('fe80::1')] }, ['192.0.2.1', 'fe80::1']],
    [
      'endpoints of the API server',
      { service: kubernetes, slices: [endpoints] },
      ['192.0.2.10', '192.0.2.11'],
    ],
    ['the address of the API server', { apiServerHost: '192.0.2.12' }, ['192.0.2.12']],
    ['the IPv6 address of the API server', { apiServerHost: '[2001:db8::a]' }, ['2001:db8::a']],
    ['not the name of the API server', { apiServerHost: 'api.example' }, []],
    ['not the ClusterIP of the API server', { service: kubernetes, apiServerHost: '10.96.0.1' }, []],
    ['not the IPv6 ClusterIP of the API server', { service: kubernetes, apiServerHost: '[fd00::1]' }, []],
  ];
for (const [claim, given, addresses] of rows)
  test(`reserved addresses: ${claim}`, () =>
    assert.deepEqual([...reservedAddresses({ ...nothing, ...given }).keys()], addresses));

test('the same addresses with another role differ, because problems name the role', () => {
  const gateway = reservedAddresses({ ...nothing, gateways: [ip('192.0.2.1')] });
  const server = reservedAddresses({ ...nothing, apiServerHost: '192.0.2.1' });
  assert.ok(sameReservedAddresses(gateway, new Map(gateway)));
  assert.ok(!sameReservedAddresses(gateway, server));
  assert.ok(!sameReservedAddresses(gateway, new Map()));
});
