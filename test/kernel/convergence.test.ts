// real time: a sync is killed in its middle, and in virtual time it comes to its end before anything else.
import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { DaemonProcess } from '../support/daemon-process.js';
import { eventually, momentOf } from '../support/eventually.js';
import { addressesOf, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { kubeconfigFor } from '../support/kubeconfig.js';

const count = 3_000;
const endpoints = [1, 2, 3, 4, 5];
const source = join(mkdtempSync(join(tmpdir(), 'convergence-')), 'world.json');
const indexes = Array.from({ length: count }, (_, index) => index);
const part = (index: number): string => `${index >> 8}.${index & 255}`;
const items = indexes.flatMap((index) => [
  serviceObject(`s${index}`, { clusterIP: `10.96.${part(index)}` }),
  sliceObject(
    `s${index}`,
    endpoints.map((pod) => ready(`10.${128 + pod}.${part(index)}`)),
  ),
]);
const expectedLines = indexes
  .flatMap((index) => [
    `-A -t 10.96.${part(index)}:80 -s rr`,
    ...endpoints.map((pod) => `-a -t 10.96.${part(index)}:80 -r 10.${128 + pod}.${part(index)}:80 -m -w 1`),
  ])
  .toSorted();

/** Names a server where nobody listens. */
const kubeconfig = (): string => {
  const file = join(mkdtempSync(join(tmpdir(), 'kubeconfig-')), 'config');
  writeFileSync(file, kubeconfigFor('http://127.0.0.1:9'));
  return file;
};

/** How many elements our IPv4 packet rules have. */
const elementsHeld = async (): Promise<number> => {
  const client = NftablesClient.open();
  const sets = (await client.table('IPv4', defaultInstance.table))?.sets ?? [];
  let held = 0;
  for (const set of sets) held += (await client.elements('IPv4', defaultInstance.table, set)).length;
  client.close();
  return held;
};

interface Counts {
  readonly applied: number;
  readonly failed: number;
}

/** What the daemon logged of its syncs. */
const reports = (log: string): readonly Counts[] =>
  log
    .split('\n')
    .filter((line) => line.includes('"synced"') || line.includes('programmed'))
    .map((line) => JSON.parse(line));

test('killed in the middle of a large sync, the next start adds just what is missing and deletes nothing', async () => {
  writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  // A virtual server, its real servers, an address, and an element for each of the first and the last.
  const wanted = count * (1 + endpoints.length + 1 + 2);
  await using first = new DaemonProcess([`--source=${source}`, '--once']);
  // ipvsadm would take longer to print the table than the daemon to fill it.
  await momentOf('some of the table', () => readFileSync('/proc/net/ip_vs', 'utf8').length >= 1_000);
  await first.stop('SIGKILL');
  const left = savedTable();
  const bound = addressesOf('kube-ipvs0').length;
  const elements = await elementsHeld();
  assert.ok(left.length < expectedLines.length, 'killed too late to prove anything');
  await using second = new DaemonProcess([`--source=${source}`, '--once', '-v=4']);
  assert.equal(await second.ended(), 0, second.log.slice(-2_000));
  assert.deepEqual(savedTable(), expectedLines);
  assert.equal(addressesOf('kube-ipvs0').length, count);
  const [report] = reports(second.log);
  assert.deepEqual(
    { applied: report?.applied, failed: report?.failed },
    { applied: wanted - left.length - bound - elements, failed: 0 },
  );
});

test('a start on a kernel that is as it should be changes nothing', async () => {
  await using daemon = new DaemonProcess([`--source=${source}`, '--once']);
  assert.equal(await daemon.ended(), 0);
  assert.match(daemon.log, /"applied":0,"failed":0/);
  assert.deepEqual(savedTable(), expectedLines);
});

test('a start after Services went away removes what is ours and only that', async () => {
  writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: items.slice(0, 2) }));
  await using daemon = new DaemonProcess([`--source=${source}`, '--once']);
  assert.equal(await daemon.ended(), 0);
  assert.equal(savedTable().length, 1 + endpoints.length);
  assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.0/32']);
});

test('SIGTERM ends the daemon with status 0 and leaves the kernel as it is', async () => {
  await using daemon = new DaemonProcess([`--source=${source}`]);
  await eventually(() => assert.match(daemon.log, /"daemon-starting"/));
  const before = savedTable();
  assert.equal(await daemon.stop('SIGTERM'), 0);
  assert.deepEqual(savedTable(), before);
});

test('--dry-run prints the plan and touches nothing', async () => {
  const before = savedTable();
  writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: items.slice(0, 4) }));
  await using daemon = new DaemonProcess([`--source=${source}`, '--dry-run']);
  assert.equal(await daemon.ended(), 0, daemon.log);
  const plan = daemon.output.split('\n');
  assert.deepEqual(plan.slice(0, 5), [
    '# packet rules',
    '+ element IPv4 cluster-ip 10.96.0.1 . TCP . 80  # default/s1',
    '',
    '# virtual servers',
    '+ virtual server TCP 10.96.0.1:80 rr  # default/s1',
  ]);
  assert.equal(plan.at(-2), `${4 + endpoints.length} to add, 0 to change, 0 to remove`);
  assert.equal(plan.filter((line) => line.startsWith('+ ')).length, 4 + endpoints.length);
  assert.deepEqual(savedTable(), before);
});

test('--once and --dry-run with a manifest that cannot be read end with status 1 and say where it is wrong', async () => {
  const before = savedTable();
  writeFileSync(source, 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: 80}\n');
  for (const flag of ['--once', '--dry-run']) {
    await using daemon = new DaemonProcess([`--source=${source}`, flag]);
    assert.equal(await daemon.ended(), 1);
    assert.match(daemon.log, /world\.json:4: document 1: Service default\/web: spec\.ports/);
  }
  assert.deepEqual(savedTable(), before);
});

test('--once and --dry-run that wait for an API server end with the signal, with status 1', async () => {
  for (const flag of ['--once', '--dry-run']) {
    await using daemon = new DaemonProcess([
      '--master=http://127.0.0.1:9',
      `--kubeconfig=${kubeconfig()}`,
      flag,
    ]);
    await eventually(() => assert.match(daemon.log, /"daemon-starting"/));
    assert.equal(await daemon.stop('SIGTERM'), 1, daemon.log);
  }
});
