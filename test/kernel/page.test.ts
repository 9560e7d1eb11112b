import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  loadFields,
  type PageChunk,
  type PageRealServersResponse,
  type PageSample,
} from '../../src/admin-api/page.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, savedTable } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject } from '../support/objects.js';

// What the page gets from the real kernel: rates from netlink, connections from /proc/net/ip_vs.

const virtual = '10.96.0.10';
const key = `TCP ${virtual}:80`;
const manifest = join(mkdtempSync(join(tmpdir(), 'page-')), 'world.json');
let network: ClusterNetwork;
let daemon: DaemonProcess;

const world = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    serviceObject('shop/web', { clusterIP: virtual, ports: ['http:80/TCP'] }),
    sliceObject('shop/web', [local(ready('10.244.0.11'))], { ports: ['http:8080/TCP'] }),
  ],
};

/** By bash alone, as in metrics.test.ts; `end` is what ends the response early. */
const read = (path: string, end: string): string => {
  const request = `printf "GET ${path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&3`;
  return run(
    'ip',
    'netns',
    'exec',
    'node',
    'bash',
    '-c',
    `exec 3<>/dev/tcp/127.0.0.1/10249; ${request}; sed '/${end}/q' <&3`,
  );
};

/** A page that is closed after its first sample. */
const firstSample = (): { readonly chunk: PageChunk; readonly sample: PageSample } => {
  const data = read('/web/stream', '^data: {"at"')
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => JSON.parse(line.slice('data: '.length)) as unknown);
  return { chunk: data[0] as PageChunk, sample: data.at(-1) as PageSample };
};

const load = (field: (typeof loadFields)[number]): number => {
  const { servers, loads } = firstSample().chunk;
  const id = servers.find((server) => server.key === key)?.id;
  return loads.find(([of]) => of === id)?.[1][loadFields.indexOf(field)] ?? -1;
};

before(async () => {
  network = await ClusterNetwork.up(1);
  writeFileSync(manifest, JSON.stringify(world));
  daemon = new DaemonProcess([`--source=${manifest}`, '--hostname-override=n1'], { namespace: 'node' });
  await eventually(() => assert.ok(savedTable('node').length >= 2, daemon.log));
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
  await network[Symbol.asyncDispose]();
});

test('after traffic the page has the connections of the virtual server and of its real server', async () => {
  await eventually(() => assert.equal(load('active') + load('inactive'), 0));
  assert.equal(network.ask('client', 'tcp', virtual, 80, 5).length, 5);
  await eventually(() => assert.ok(load('active') + load('inactive') >= 5));
  const { sample, chunk } = firstSample();
  assert.equal(sample.error, undefined);
  assert.deepEqual([chunk.servers.length, chunk.servers[0]?.realServers], [1, 1]);
  const body = read('/web/real-servers?service=shop/web', '^}').split('\r\n\r\n')[1] ?? '';
  const [real] = (JSON.parse(body) as PageRealServersResponse).virtualServers[key] ?? [];
  assert.equal(real?.key, '10.244.0.11:8080');
  assert.ok(real.active + real.inactive >= 5);
});

test('while clients connect the page has their rate', async () => {
  await eventually(() => {
    network.ask('client', 'tcp', virtual, 80, 20);
    assert.ok(load('connectionsPerSecond') > 0);
    assert.ok(load('inBytesPerSecond') > 0);
  });
});

test('the bundle finds the files of the page', () => {
  for (const [path, text] of [
    ['/', '<title>kube-ipvs</title>'],
    ['/web/page.js', 'EventSource'],
    ['/web/page.css', 'color-scheme'],
    ['/web/icon.svg', '<svg'],
  ] as const)
    assert.ok(read(path, 'no line has this').includes(text), path);
});
