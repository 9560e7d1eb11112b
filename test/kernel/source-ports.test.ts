import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// The source ports of masqueraded connections, as the connection table of the kernel has them.

const external = { IPv4: '203.0.113.9', IPv6: '2001:db8:9::9' } as const;
const families = ['IPv4', 'IPv6'] as const;
const manifest = join(mkdtempSync(join(tmpdir(), 'source-ports-')), 'world.json');
const requests = 400;
let network: ClusterNetwork;
let daemon: DaemonProcess;

const items = [
  serviceObject('dns', {
    clusterIPs: ['10.96.0.10', 'fd00:96::10'],
    externalIPs: families.map((family) => external[family]),
    ipFamilies: families,
    ports: ['dns:53/UDP'],
  }),
  ...families.map((family) =>
    sliceObject('dns', [ready(family === 'IPv4' ? '10.244.0.11' : 'fd00:244::11')], {
      ports: ['dns:8080/UDP'],
      family,
      suffix: family.toLowerCase(),
    }),
  ),
  // A node port below the usual range, and a port on an address of the node.
  serviceObject('low', { type: 'NodePort', clusterIP: '10.96.0.20', ports: ['http:80@20000'] }),
  serviceObject('on-node', { clusterIP: '10.96.0.30', externalIPs: ['192.0.2.1'], ports: ['http:60000'] }),
];

/** The source ports towards the pod: the destination ports of replies to the node. */
const sourcePorts = (family: (typeof families)[number]): readonly number[] =>
  runLine(`ip netns exec node conntrack -L -f ${family.toLowerCase()} -p udp -d ${external[family]}`)
    .split('\n')
    .flatMap((line) => {
      const [, port] = /dport=53 .* sport=8080 dport=(\d+)/.exec(line) ?? [];
      return port === undefined ? [] : [Number(port)];
    });

before(async () => {
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  network = await ClusterNetwork.up(1);
  daemon = new DaemonProcess([`--source=${manifest}`, '--hostname-override=n1'], { namespace: 'node' });
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
  await network[Symbol.asyncDispose]();
});

for (const family of families)
  test(`${family}: masqueraded connections use the ports below and above the node ports, and no port that a Service has on the node`, async () => {
    await eventually(() =>
      assert.deepEqual(network.ask('client', 'udp', external[family], 53, 1), ['pod1'], daemon.log),
    );
    const answers = network.ask('client', 'udp', external[family], 53, requests);
    assert.deepEqual(new Set(answers), new Set(['pod1']));
    const ports = sourcePorts(family);
    // Two requests may come from the same port of the client.
    assert.ok(ports.length > requests * 0.9, `${ports.length} connections`);
    assert.deepEqual(
      ports.filter((port) => port < 1_024 || port > 59_999 || (port > 19_999 && port < 32_768)),
      [],
    );
    // 18,976 of 46,208 ports: 41 %, with four standard deviations on each side.
    const low = ports.filter((port) => port < 20_000).length / ports.length;
    assert.ok(low > 0.31 && low < 0.51, `${low} of the connections have a low port`);
  });
