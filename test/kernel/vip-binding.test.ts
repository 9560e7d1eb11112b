// real time: as many requests as a client sends in real time are to meet every change.
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, vipRoutesOf } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject, thisNode } from '../support/objects.js';
import { SteadyRequests } from '../support/steady-requests.js';

// The binding of VIPs changes under requests from outside, from the node and from a pod, over IPv4 and IPv6.

const folder = mkdtempSync(join(tmpdir(), 'binding-'));
const manifest = join(folder, 'world.json');
const config = join(folder, 'own.yaml');
const urls = ['http://10.96.0.10/', 'http://[fd00:96::10]/'];
const others = Array.from({ length: 150 }, (_, index) => `10.97.0.${index + 1}`);
const vips = ['10.96.0.10/32', 'fd00:96::10/128', ...others.map((address) => `${address}/32`)].toSorted();
let network: ClusterNetwork;

const configure = (binding: VipBinding): void => {
  writeFileSync(
    `${config}.next`,
    `apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nvips: {binding: ${binding}}\n`,
  );
  renameSync(`${config}.next`, config);
};

const flags = ['--hostname-override', thisNode, '--cluster-cidr=10.244.0.0/16,fd00:244::/64'];
const start = (): DaemonProcess =>
  new DaemonProcess([`--source=${manifest}`, `--config=${config}`, ...flags], { namespace: 'node' });

const expectBinding = (binding: VipBinding, daemon: DaemonProcess): Promise<void> =>
  eventually(() => {
    const bound = { address: addressesOf('kube-ipvs0', 'node'), route: vipRoutesOf('node') };
    const other = binding === 'address' ? 'route' : 'address';
    assert.deepEqual([bound[binding], bound[other]], [vips, []], daemon.log.slice(-2_000));
  }, 60_000);

before(async () => {
  network = await ClusterNetwork.up(2);
  const dualStack = { clusterIPs: ['10.96.0.10', 'fd00:96::10'], ipFamilies: ['IPv4', 'IPv6'] };
  const ports = ['http:8080/TCP'];
  const items = [
    serviceObject('web', { ...dualStack, ports: ['http:80/TCP'] }),
    sliceObject('web', [local(ready('10.244.0.11')), local(ready('10.244.0.12'))], { ports }),
    sliceObject('web', [local(ready('fd00:244::11')), local(ready('fd00:244::12'))], {
      ports,
      family: 'IPv6',
      suffix: 'v6',
    }),
    ...others.flatMap((address, index) => [
      serviceObject(`other-${index}`, { clusterIPs: [address], ports: ['http:80/TCP'] }),
      sliceObject(`other-${index}`, [ready('10.244.0.11')], { ports }),
    ]),
  ];
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
});
const clients: SteadyRequests[] = [];
let daemon: DaemonProcess;
after(async () => {
  for (const client of clients) client[Symbol.dispose]();
  await daemon[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('the binding changes in place and by restarts: no request fails, and open connections stay', async () => {
  configure('address');
  daemon = start();
  await expectBinding('address', daemon);
  clients.push(
    ...['client', 'pod1'].map((from) => new SteadyRequests(from, urls)),
    ...['node', 'pod2'].map((from) => new SteadyRequests(from, urls.toReversed())),
  );
  for (const binding of ['route', 'address', 'route', 'address', 'route'] as const) {
    configure(binding);
    await expectBinding(binding, daemon);
  }
  for (const binding of ['address', 'route'] as const) {
    assert.equal(await daemon.stop(), 0, daemon.log);
    configure(binding);
    daemon = start();
    await expectBinding(binding, daemon);
  }
  assert.equal(await daemon.stop(), 0, daemon.log);
  for (const { requests, held, failures } of await Promise.all(clients.map((client) => client.end()))) {
    assert.deepEqual(failures, []);
    assert.ok(requests > 50 && held > 25, `only ${requests} requests`);
  }
});
