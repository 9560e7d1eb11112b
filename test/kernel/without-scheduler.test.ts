// lab: -K initcall_blacklist=ip_vs_mh_init
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DaemonProcess } from '../support/daemon-process.js';
import { savedTable, schedulers } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

const source = join(mkdtempSync(join(tmpdir(), 'scheduler-')), 'world.json');
const services = [
  serviceObject('bad', { clusterIP: '10.96.0.1', annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'mh' } }),
  serviceObject('good', { clusterIP: '10.96.0.2' }),
];
const items = [
  ...services,
  sliceObject('bad', [ready('10.1.0.1')]),
  sliceObject('good', [ready('10.1.0.2')]),
];
writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

test('a kernel without the configured scheduler: the daemon names it and how to get it, and ends with status 1', async () => {
  await using daemon = new DaemonProcess([`--source=${source}`, '--ipvs-scheduler=mh']);
  assert.equal(await daemon.ended(), 1);
  assert.match(daemon.log, /this kernel has no IPVS scheduler "mh"/);
  assert.match(daemon.log, /modprobe ip_vs_mh/);
  assert.deepEqual(savedTable(), [], 'looking for it leaves nothing behind');
});

test('a Service whose own scheduler is missing is reported by name, and holds up no other', async () => {
  await using daemon = new DaemonProcess([`--source=${source}`, '--once']);
  assert.equal(await daemon.ended(), 1);
  assert.deepEqual(savedTable(), ['-A -t 10.96.0.2:80 -s rr', '-a -t 10.96.0.2:80 -r 10.1.0.2:80 -m -w 1']);
  assert.match(daemon.log, /10\.96\.0\.1:80 mh.*ENOENT/);
});

test('every scheduler that the kernel has is accepted', async () => {
  const present = schedulers.filter((scheduler) => scheduler !== 'mh');
  const wanted = present.map((scheduler, index) =>
    serviceObject(scheduler, {
      clusterIP: `10.96.1.${index + 1}`,
      annotations: { 'ipvs.kube-ipvs.dev/scheduler': scheduler },
    }),
  );
  writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: wanted }));
  await using daemon = new DaemonProcess([`--source=${source}`, '--once']);
  assert.equal(await daemon.ended(), 0, daemon.log);
  const table = savedTable();
  for (const [index, scheduler] of present.entries()) {
    assert.ok(table.includes(`-A -t 10.96.1.${index + 1}:80 -s ${scheduler}`), table.join('\n'));
  }
});
