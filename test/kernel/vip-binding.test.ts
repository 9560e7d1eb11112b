// real time: as many requests as a client sends in real time are to meet every change.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { addressesOf, vipRoutesOf } from '../support/lab-guest.js';
import { changeUnderRequests } from '../support/setting-under-requests.js';

const others = Array.from({ length: 150 }, (_, index) => `10.97.0.${index + 1}`);
const vips = ['10.96.0.10/32', 'fd00:96::10/128', ...others.map((address) => `${address}/32`)].toSorted();

test('the binding of VIPs changes in place and by restarts: no request fails, and open connections stay', () =>
  changeUnderRequests<VipBinding>({
    urls: ['http://10.96.0.10/', 'http://[fd00:96::10]/'],
    web: { ports: ['http:80/TCP'] },
    others: Object.fromEntries(
      others.map((address, index) => [`other-${index}`, { clusterIPs: [address], ports: ['http:80/TCP'] }]),
    ),
    line: (binding) => `vips: {binding: ${binding}}`,
    check: (binding) => {
      const bound = { address: addressesOf('kube-ipvs0', 'node'), route: vipRoutesOf('node') };
      const other = binding === 'address' ? 'route' : 'address';
      assert.deepEqual([bound[binding], bound[other]], [vips, []]);
    },
    first: 'address',
    inPlace: ['route', 'address', 'route', 'address', 'route'],
    byRestarts: ['address', 'route'],
  }));
