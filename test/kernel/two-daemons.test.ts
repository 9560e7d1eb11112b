import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DaemonProcess } from '../support/daemon-process.js';
import { eventually } from '../support/eventually.js';
import { run, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';

const folder = mkdtempSync(join(tmpdir(), 'two-daemons-'));

/** A manifest with a Service of this ClusterIP. */
const manifest = (clusterIP: string): string => {
  const items = [
    serviceObject('web', { clusterIP, ports: ['http:80'] }),
    sliceObject('web', [ready('10.244.0.1')], { ports: ['http:80'] }),
  ];
  const file = join(folder, `${clusterIP}.json`);
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  return file;
};

const start = (clusterIP: string, ...flags: readonly string[]): DaemonProcess =>
  new DaemonProcess([
    `--source=${manifest(clusterIP)}`,
    '--healthz-bind-address=',
    '--metrics-bind-address=',
    ...flags,
  ]);

const kernel = (): readonly string[] => [...savedTable(), run('nft', 'list', 'ruleset')];

test('a second daemon changes nothing before the first has ended, and then serves what it knows', async () => {
  await using one = start('10.96.0.1', '--masquerade-all');
  await eventually(() => assert.match(one.log, /"synced"/));
  const before = kernel();
  await using other = start('10.96.0.2');
  await eventually(() => assert.match(other.log, /"waiting-for-other-daemon","pid":\d+/));
  await elapse(10_000);
  assert.deepEqual(kernel(), before);
  assert.doesNotMatch(one.log, /drift|contended/);

  await using once = start('10.96.0.2', '--once');
  assert.equal(await once.ended(), 1);
  assert.match(once.log, /kube-ipvs already runs in this network namespace \(process \d+\); stop it, or/);
  await using dry = start('10.96.0.2', '--dry-run');
  assert.equal(await dry.ended(), 0, dry.log);
  await using waiting = start('10.96.0.3');
  await eventually(() => assert.match(waiting.log, /"waiting-for-other-daemon"/));
  assert.equal(await waiting.stop('SIGTERM'), 0, waiting.log);
  assert.deepEqual(kernel(), before);

  assert.equal(await one.stop('SIGTERM'), 0);
  await eventually(() => assert.match(other.log, /"synced"/));
  assert.deepEqual(savedTable(), ['-A -t 10.96.0.2:80 -s rr', '-a -t 10.96.0.2:80 -r 10.244.0.1:80 -m -w 1']);
});
