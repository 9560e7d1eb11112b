// real time: in virtual time its guest came to rest and did not go on, which is not understood yet.
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, runLine, savedTable } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject } from '../support/objects.js';

// What the page says after real traffic and after somebody else's hands were in the kernel.

const virtual = '10.96.0.10';
const virtualIPv6 = 'fd00:96::10';
const manifest = join(mkdtempSync(join(tmpdir(), 'metrics-')), 'world.json');
let network: ClusterNetwork;
let daemon: DaemonProcess;

const write = (text: string): void => {
  writeFileSync(`${manifest}.next`, text);
  renameSync(`${manifest}.next`, manifest);
};

/** A Service `web` of these pods on both families and a node port, and `lonely`, whose pod is elsewhere. */
const world = (pods: readonly number[]): string => {
  const families = ['IPv4', 'IPv6'] as const;
  const podAddress = { IPv4: '10.244.0.1', IPv6: 'fd00:244::1' };
  const items = [
    serviceObject('shop/web', {
      type: 'NodePort',
      clusterIPs: [virtual, virtualIPv6],
      ipFamilies: families,
      ports: ['http:80/TCP@30080'],
    }),
    ...families.map((family) =>
      sliceObject(
        'shop/web',
        pods.map((pod) => local(ready(`${podAddress[family]}${pod}`))),
        { ports: ['http:8080/TCP'], family, suffix: family.toLowerCase() },
      ),
    ),
    serviceObject('shop/lonely', {
      clusterIPs: ['10.96.0.20'],
      internalTrafficPolicy: 'Local',
      ports: ['http:80/TCP'],
    }),
    sliceObject('shop/lonely', [ready('10.244.9.9')], { ports: ['http:80/TCP'] }),
  ];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
};

/** By bash alone: a process of Node takes half a second to start here. */
const request = 'exec 3<>/dev/tcp/127.0.0.1/10249; printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3';
const page = (): string => run('ip', 'netns', 'exec', 'node', 'bash', '-c', request);

/** The value of the one series that has all these labels. */
const valueIn = (text: string, name: string, ...labels: readonly string[]): number => {
  const found = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => labels.every((label) => line.includes(label)));
  assert.equal(found.length, 1, `${name} ${labels.join()}: ${found.join('; ')}`);
  return Number(found[0]?.split(' ').at(-1));
};

const tcp = 'protocol="TCP"';

/** What ipvsadm says of all virtual servers of `web`: connections, packets in and out, bytes in and out. */
const ipvsadmSums = (): readonly number[] => {
  const sums = [0, 0, 0, 0, 0];
  for (const line of runLine('ip netns exec node ipvsadm -Ln --stats --exact').split('\n')) {
    const [protocol, address = '', ...numbers] = line.trim().split(/\s+/);
    if (protocol !== 'TCP' || address.startsWith('10.96.0.20:')) continue;
    for (const [index, number] of numbers.entries()) sums[index] = (sums[index] ?? 0) + Number(number);
  }
  return sums;
};

const web = ['service_namespace="shop"', 'service_name="web"', 'service_port="80"', 'protocol="TCP"'];

const pageSums = (text: string): readonly number[] => [
  valueIn(text, 'kube_ipvs_service_connections_total', ...web),
  valueIn(text, 'kube_ipvs_service_packets_total', ...web, 'direction="in"'),
  valueIn(text, 'kube_ipvs_service_packets_total', ...web, 'direction="out"'),
  valueIn(text, 'kube_ipvs_service_bytes_total', ...web, 'direction="in"'),
  valueIn(text, 'kube_ipvs_service_bytes_total', ...web, 'direction="out"'),
];

before(async () => {
  network = await ClusterNetwork.up(2);
  write(world([1, 2]));
  daemon = new DaemonProcess(
    [`--source=${manifest}`, '--ipvs-min-sync-period=0s', '--ipvs-sync-period=2s', '--hostname-override=n1'],
    { namespace: 'node' },
  );
  await eventually(() => assert.ok(savedTable('node').length >= 9, daemon.log));
  await eventually(() => assert.match(page(), /^kube_ipvs_services 2$/m));
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
  await network[Symbol.asyncDispose]();
});

test('after traffic to every address of a Service its counters are what ipvsadm says', async () => {
  network.ask('client', 'tcp', virtual, 80, 5);
  network.ask('client', 'tcp', virtualIPv6, 80, 3);
  network.ask('client', 'tcp', '192.0.2.1', 30080, 2);
  await eventually(() => {
    const before = ipvsadmSums();
    const found = pageSums(page());
    assert.deepEqual(found, before);
    assert.equal(found[0], 10);
    assert.ok(
      found.every((value) => value >= 10),
      found.join(),
    );
  });
});

test('the page tells what is held, which Services lack local endpoints, and that syncs succeed', () => {
  const text = page();
  const table = savedTable('node');
  const held = (sign: string): number => table.filter((line) => line.startsWith(sign)).length;
  assert.equal(valueIn(text, 'kube_ipvs_virtual_servers'), held('-A'));
  assert.equal(valueIn(text, 'kube_ipvs_real_servers'), held('-a'));
  assert.equal(valueIn(text, 'kube_ipvs_addresses'), 3);
  const lacking = 'kubeproxy_sync_proxy_rules_no_local_endpoints_total';
  assert.equal(valueIn(text, lacking, 'internal', 'IPv4'), 1);
  assert.equal(valueIn(text, lacking, 'external', 'IPv4'), 0);
  assert.ok(valueIn(text, 'kubeproxy_sync_proxy_rules_duration_seconds_count', 'IPv6') >= 1);
  const age = Date.now() / 1_000 - valueIn(text, 'kubeproxy_sync_proxy_rules_last_timestamp_seconds', 'IPv4');
  assert.ok(age > -1 && age < 60, `${age}`);
  assert.ok(valueIn(text, 'kube_ipvs_operations_total', 'add-virtual-server', 'applied') >= 3);
  assert.equal(valueIn(text, 'kube_ipvs_scrape_failures_total'), 0);
});

test("what others delete is counted as it is repaired, by what it was; others' own is left alone and counted", async () => {
  const drift = (labels: string): number => {
    const [object = '', kind = ''] = labels.split(' ');
    return valueIn(page(), 'kube_ipvs_drift_repaired_total', `object="${object}"`, `drift="${kind}"`);
  };
  const kinds = ['address missing', 'virtual-server missing', 'real-server missing', 'packet-rule differs'];
  assert.deepEqual(kinds.map(drift), [0, 0, 0, 0]);
  runLine(`ip netns exec node ipvsadm -D -t ${virtual}:80`);
  await eventually(() => assert.deepEqual(kinds.map(drift), [0, 1, 2, 0]));
  runLine(`ip -n node address delete ${virtual}/32 dev kube-ipvs0`);
  await eventually(() => assert.deepEqual(kinds.map(drift), [1, 1, 2, 0]));
  runLine('ip netns exec node nft delete table ip kube-ipvs');
  await eventually(() => assert.ok(drift('packet-rule differs') > 0));
  runLine('ip netns exec node ipvsadm -A -t 198.51.100.77:99 -s rr');
  await eventually(() => assert.equal(valueIn(page(), 'kube_ipvs_foreign_virtual_servers'), 1));
  assert.equal(network.ask('client', 'tcp', virtual, 80, 1).length, 1);
});

test('a counter of a Service whose virtual server was made anew goes on', async () => {
  const [connections = 0] = pageSums(page());
  assert.ok(connections >= 10, `${connections}`);
});

test('drains are counted from their start to their end, and broken manifests while they are', async () => {
  // What clients have just used drains until the kernel forgets their connections, two minutes; an unused pod not at all.
  network.ask('client', 'tcp', virtual, 80, 4);
  write(world([1]));
  await eventually(() => {
    const text = page();
    const draining = valueIn(text, 'kube_ipvs_draining_real_servers', tcp);
    assert.ok(draining > 0);
    const ended = ['idle', 'dead', 'node-gone', 'deadline', 'withdrawn'].map((reason) =>
      valueIn(text, 'kube_ipvs_drains_ended_total', tcp, `"${reason}"`),
    );
    const started = valueIn(text, 'kube_ipvs_drains_started_total', tcp);
    assert.equal(started, draining + ended.reduce((sum, count) => sum + count));
  });
  write(world([1, 2]));
  await eventually(() => {
    assert.equal(valueIn(page(), 'kube_ipvs_draining_real_servers', tcp), 0);
    assert.ok(valueIn(page(), 'kube_ipvs_drains_ended_total', tcp, '"withdrawn"') > 0);
  });
  write('{ this is no manifest');
  await eventually(() => assert.equal(valueIn(page(), 'kube_ipvs_broken_manifests'), 1));
  write(world([1, 2]));
  await eventually(() => assert.equal(valueIn(page(), 'kube_ipvs_broken_manifests'), 0));
  assert.ok(valueIn(page(), 'kube_ipvs_manifest_failures_total') >= 1);
});
