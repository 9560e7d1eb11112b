// real time: as in metrics.test.ts, which says why.
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, runLine } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { SingleSocketClient } from '../support/single-socket-client.js';

// The series of single endpoints after real traffic, against what ipvsadm says.

const virtual = '10.96.0.10';
const folder = mkdtempSync(join(tmpdir(), 'backend-metrics-'));
const manifest = join(folder, 'world.json');
const config = join(folder, 'config.conf');
let network: ClusterNetwork;
let daemon: DaemonProcess;

const replaceFile = (path: string, text: string): void => {
  writeFileSync(`${path}.next`, text);
  renameSync(`${path}.next`, path);
};

/** `shop/web` with these pods on a ClusterIP and a node port, and `other/api` with both. */
const program = (pods: readonly number[]): void => {
  const sliceOf = (name: string, numbers: readonly number[]) =>
    sliceObject(
      name,
      numbers.map((number) => ({ ...ready(`10.244.0.1${number}`), pod: `web-${number}` })),
      { ports: ['http:8080/TCP'] },
    );
  const items = [
    serviceObject('shop/web', { type: 'NodePort', clusterIPs: [virtual], ports: ['http:80/TCP@30080'] }),
    sliceOf('shop/web', pods),
    serviceObject('other/api', { clusterIPs: ['10.96.0.11'], ports: ['http:80/TCP'] }),
    sliceOf('other/api', [1, 2]),
  ];
  replaceFile(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
};

const configure = (backends: string): void =>
  replaceFile(
    config,
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n---\n' +
      `apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nmetrics: {backends: ${backends}}\n`,
  );

const request = 'exec 3<>/dev/tcp/127.0.0.1/10249; printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3';
const page = (): string => run('ip', 'netns', 'exec', 'node', 'bash', '-c', request);

/** The values of a metric by endpoint. */
const valuesOf = (
  text: string,
  name: string,
  ...labels: readonly string[]
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
      .map((line) => [/endpoint_address="([^"]*)"/.exec(line)?.[1] ?? '', Number(line.split(' ').at(-1))]),
  );

const [one, two] = ['10.244.0.11:8080', '10.244.0.12:8080'] as const;

/** What ipvsadm says of the real servers of `shop/web`, summed over its addresses: connections, packets, bytes. */
const ipvsadmSums = (): Readonly<Record<string, readonly number[]>> => {
  const sums: Record<string, number[]> = {};
  let isWeb = false;
  for (const line of runLine('ip netns exec node ipvsadm -Ln --stats --exact').split('\n')) {
    const [mark, address = '', ...numbers] = line.trim().split(/\s+/);
    if (mark === 'TCP') isWeb = address !== '10.96.0.11:80';
    if (mark !== '->' || !isWeb || !/^\d/.test(address)) continue;
    const sum = (sums[address] ??= [0, 0, 0, 0, 0]);
    for (const [index, number] of numbers.entries()) sum[index] = (sum[index] ?? 0) + Number(number);
  }
  return sums;
};

const pageSums = (text: string): Readonly<Record<string, readonly number[]>> => {
  const columns = [
    valuesOf(text, 'kube_ipvs_backend_connections_total'),
    valuesOf(text, 'kube_ipvs_backend_packets_total', 'direction="in"'),
    valuesOf(text, 'kube_ipvs_backend_packets_total', 'direction="out"'),
    valuesOf(text, 'kube_ipvs_backend_bytes_total', 'direction="in"'),
    valuesOf(text, 'kube_ipvs_backend_bytes_total', 'direction="out"'),
  ];
  return Object.fromEntries(
    [one, two].map((address) => [address, columns.map((column) => column[address] ?? -1)]),
  );
};

before(async () => {
  network = await ClusterNetwork.up(2);
  program([1, 2]);
  configure('{}');
  daemon = new DaemonProcess([`--source=${manifest}`, `--config=${config}`, '--hostname-override=n1'], {
    namespace: 'node',
  });
  await eventually(() => assert.match(page(), /^kube_ipvs_services 2$/m, daemon.log));
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
  await network[Symbol.asyncDispose]();
});

test('endpoints have no series by default', () => {
  assert.doesNotMatch(page(), /^kube_ipvs_backend_\w+\{/m);
});

test('after traffic to a ClusterIP and a node port each endpoint has what ipvsadm says', async () => {
  configure('{enabled: true, services: ["shop/*"]}');
  await eventually(() => assert.match(page(), /^kube_ipvs_backend_weight\{/m, daemon.log));
  network.ask('client', 'tcp', virtual, 80, 7);
  network.ask('client', 'tcp', '192.0.2.1', 30080, 4);
  await eventually(() => {
    const before = ipvsadmSums();
    const text = page();
    assert.deepEqual(pageSums(text), before);
    const connections = valuesOf(text, 'kube_ipvs_backend_connections_total');
    assert.equal((connections[one] ?? 0) + (connections[two] ?? 0), 11);
    assert.ok(Math.min(...Object.values(before).flat()) > 0, JSON.stringify(before));
  });
  const text = page();
  assert.deepEqual(valuesOf(text, 'kube_ipvs_backend_weight'), { [one]: 1, [two]: 1 });
  assert.match(
    text,
    /^kube_ipvs_backend_weight\{service_namespace="shop",service_name="web",service_port="80",protocol="TCP",endpoint_address="10\.244\.0\.11:8080",endpoint_pod="web-1",endpoint_node="n2"\} 1$/m,
  );
});

test('an endpoint that drains says so, with its open connection, and the histogram has how long it took', async () => {
  await using client = new SingleSocketClient('client', 'tcp', virtual, 80);
  client.ask();
  await eventually(() => assert.match(client.last, /^pod/));
  const [held, other] = client.last.startsWith('pod1') ? [one, two] : [two, one];
  program([held === one ? 2 : 1]);
  await eventually(() => {
    const text = page();
    assert.deepEqual(valuesOf(text, 'kube_ipvs_backend_draining'), { [held]: 1, [other]: 0 }, client.last);
    assert.equal(valuesOf(text, 'kube_ipvs_backend_weight')[held], 0);
    assert.equal(valuesOf(text, 'kube_ipvs_backend_active_connections')[held], 1);
  });
  await client[Symbol.asyncDispose]();
  runLine('ip netns exec node conntrack -F');
  program([1, 2]);
  await eventually(() =>
    assert.deepEqual(valuesOf(page(), 'kube_ipvs_backend_draining'), { [one]: 0, [two]: 0 }),
  );
  assert.match(page(), /^kube_ipvs_drain_duration_seconds_count\{protocol="TCP",reason="withdrawn"\} [1-9]/m);
});

test('beyond the maximum the first endpoints keep their series, and one gauge counts the others', async () => {
  configure('{enabled: true, maximumSeries: 9, services: ["*/*"]}');
  await eventually(() => assert.match(page(), /^kube_ipvs_backends_left_out 3$/m, page()));
  assert.equal(page().match(/^kube_ipvs_backend_\w+\{/gm)?.length, 9);
});
