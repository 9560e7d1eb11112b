// lab: -K ipv6.disable=1
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DaemonProcess } from '../support/daemon-process.js';
import { addressesOf, savedTable } from '../support/guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

const source = join(mkdtempSync(join(tmpdir(), 'ipv6-')), 'world.json');
const items = [
  serviceObject('web', {
    clusterIPs: ['10.96.0.1', 'fd00:96::1'],
    ipFamilies: ['IPv4', 'IPv6'],
    externalIPs: ['2001:db8::7'],
  }),
  sliceObject('web', [ready('10.1.0.1')]),
];
writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

test('on a node without IPv6 the IPv4 half of a dual-stack Service is served, and nothing is refused', async () => {
  await using daemon = new DaemonProcess([`--source=${source}`, '--once']);
  assert.equal(await daemon.ended(), 0, daemon.log);
  assert.deepEqual(savedTable(), ['-A -t 10.96.0.1:80 -s rr', '-a -t 10.96.0.1:80 -r 10.1.0.1:80 -m -w 1']);
  assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.1/32']);
  assert.match(daemon.log, /this node has no IPv6/);
});
