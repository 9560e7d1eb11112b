// lab: -K ipv6.disable=1
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

runLine('ip link set lo up');

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
  assert.match(daemon.log, /"ipv6-unavailable"/);
});

test('there the health server listens on IPv4, and knows no other family', async () => {
  await using _daemon = new DaemonProcess([`--source=${source}`]);
  const body = await eventually(async () => {
    const response = await fetch('http://127.0.0.1:10256/healthz');
    return { status: response.status, text: await response.text() };
  });
  assert.equal(body.status, 200);
  await eventually(async () =>
    assert.match(
      await (await fetch('http://127.0.0.1:10256/livez')).text(),
      /"status":\{"IPv4":\{[^}]*"healthy":true\}\}\}$/,
    ),
  );
});
