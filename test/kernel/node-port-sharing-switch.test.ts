// real time: as many requests as a client sends in real time are to meet every change.
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { nodePortMark } from '../../src/model/firewall-mark.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { savedTable } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject, thisNode } from '../support/objects.js';
import { SteadyRequests } from '../support/steady-requests.js';

// nodePorts.sharing changes under requests from outside, from the node and from a pod, over IPv4 and IPv6.

const folder = mkdtempSync(join(tmpdir(), 'sharing-'));
const manifest = join(folder, 'world.json');
const config = join(folder, 'own.yaml');
const nodePort = 30_080;
const urls = [`http://192.0.2.1:${nodePort}/`, `http://[2001:db8:1::1]:${nodePort}/`];
const others = Array.from({ length: 30 }, (_, index) => index);
let network: ClusterNetwork;

const configure = (sharing: boolean): void => {
  writeFileSync(
    `${config}.next`,
    `apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nnodePorts: {sharing: ${sharing}}\n`,
  );
  renameSync(`${config}.next`, config);
};

const flags = ['--hostname-override', thisNode, '--cluster-cidr=10.244.0.0/16,fd00:244::/64'];
const start = (): DaemonProcess =>
  new DaemonProcess([`--source=${manifest}`, `--config=${config}`, ...flags], { namespace: 'node' });

const lastMark = nodePortMark({ protocol: 'TCP', port: 31_000 + others.length - 1 });

/** Waits until the last node port is served as configured. */
const expectSharing = (sharing: boolean, daemon: DaemonProcess): Promise<void> =>
  eventually(() => {
    const table = savedTable('node');
    const open = table.filter((line) => line.startsWith('-a ') && line.endsWith('-w 1'));
    assert.equal(
      open.some((line) => line.startsWith(`-a -f ${lastMark} `)),
      sharing,
      daemon.log.slice(-2_000),
    );
    const byAddress = open.some((line) => line.includes(`:${31_000 + others.length - 1} `));
    assert.equal(byAddress, !sharing, daemon.log.slice(-2_000));
  }, 60_000);

before(async () => {
  network = await ClusterNetwork.up(2);
  const dualStack = { clusterIPs: ['10.96.0.10', 'fd00:96::10'], ipFamilies: ['IPv4', 'IPv6'] };
  const ports = ['http:8080/TCP'];
  const items = [
    serviceObject('web', { type: 'NodePort', ...dualStack, ports: [`http:80/TCP@${nodePort}`] }),
    sliceObject('web', [local(ready('10.244.0.11')), local(ready('10.244.0.12'))], { ports }),
    sliceObject('web', [local(ready('fd00:244::11')), local(ready('fd00:244::12'))], {
      ports,
      family: 'IPv6',
      suffix: 'v6',
    }),
    ...others.flatMap((index) => [
      serviceObject(`other-${index}`, {
        type: 'NodePort',
        clusterIPs: [`10.97.0.${index + 1}`],
        ports: [`http:80/TCP@${31_000 + index}`],
      }),
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

test('sharing begins and ends in place and by restarts: no request fails, and open connections stay', async () => {
  configure(false);
  daemon = start();
  await expectSharing(false, daemon);
  clients.push(
    ...['client', 'pod1'].map((from) => new SteadyRequests(from, urls)),
    new SteadyRequests('node', urls.toReversed()),
  );
  for (const sharing of [true, false, true, false, true]) {
    configure(sharing);
    await expectSharing(sharing, daemon);
  }
  const logs: string[] = [];
  for (const sharing of [false, true]) {
    assert.equal(await daemon.stop(), 0, daemon.log);
    logs.push(daemon.log);
    configure(sharing);
    daemon = start();
    await expectSharing(sharing, daemon);
  }
  assert.equal(await daemon.stop(), 0, daemon.log);
  logs.push(daemon.log);
  for (const { requests, held, failures } of await Promise.all(clients.map((client) => client.end()))) {
    assert.deepEqual(failures, [], failures.length === 0 ? '' : logs.join('\n'));
    assert.ok(requests > 50 && held > 25, `only ${requests} requests`);
  }
});
