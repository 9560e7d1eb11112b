import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DaemonProcess } from '../support/daemon-process.js';
import { eventually } from '../support/eventually.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';

const manifest = join(mkdtempSync(join(tmpdir(), 'two-daemons-')), 'world.json');

test('two daemons of different configuration do not declare their rules against each other without end', async () => {
  const items = [
    serviceObject('web', { clusterIP: '10.96.0.1', ports: ['http:80'] }),
    sliceObject('web', [ready('10.244.0.1')], { ports: ['http:80'] }),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const args = [`--source=${manifest}`, '--healthz-bind-address='];
  await using one = new DaemonProcess([...args, '--metrics-bind-address=', '--masquerade-all']);
  await eventually(() => assert.match(one.log, /"synced"/));
  await using other = new DaemonProcess([...args, '--metrics-bind-address=']);
  await eventually(() => assert.match(one.log + other.log, /"packet-rules-contended"/));
  const mended = (): number => (one.log + other.log).match(/"packet-rules-repaired"/g)?.length ?? 0;
  await elapse(3_000);
  const before = mended();
  await elapse(10_000);
  assert.ok(mended() - before <= 10, `${mended() - before} times in ten seconds`);
  assert.equal((one.log.match(/"packet-rules-contended"/g)?.length ?? 0) <= 1, true);
});
