import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { savedTable } from '../support/lab-guest.js';
import { main } from '../support/program.js';

// Names as long as the API server allows: 63 characters for a namespace and a Service, 15 for a port, 253 for a pod.

const namespace = `n${'a'.repeat(61)}z`;
const name = `s${'b'.repeat(61)}z`;
const older = `s${'c'.repeat(61)}z`;
const port = `p${'d'.repeat(13)}z`;
const pod = `p${'e'.repeat(251)}z`;
const key = `${namespace}/${name}`;
const external = '203.0.113.7';

const service = (serviceName: string, year: number, spec: object): ApiObject => ({
  kind: 'Service',
  metadata: {
    namespace,
    name: serviceName,
    uid: `uid-of-${serviceName.slice(0, 2)}`,
    creationTimestamp: `${year}-01-01T00:00:00Z`,
  },
  spec: { externalIPs: [external], ...spec },
});

const objects: readonly ApiObject[] = [
  service(older, 2020, {
    type: 'ClusterIP',
    clusterIP: '10.96.0.11',
    clusterIPs: ['10.96.0.11'],
    ports: [{ name: port, port: 80 }],
  }),
  {
    ...service(name, 2024, {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.10',
      clusterIPs: ['10.96.0.10'],
      sessionAffinity: 'None',
      loadBalancerSourceRanges: ['192.0.2.0/24'],
      ports: [{ name: port, port: 80, nodePort: 30080 }],
    }),
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.20', ipMode: 'VIP' }] } },
  },
  {
    kind: 'EndpointSlice',
    metadata: {
      namespace,
      name: `${name}-abcde`,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: [{ name: port, port: 8080, protocol: 'TCP' }],
    endpoints: [
      {
        addresses: ['10.244.0.11'],
        nodeName: 'n1',
        conditions: { ready: true },
        targetRef: { kind: 'Pod', namespace, name: pod },
      },
    ],
  },
];

const config = join(mkdtempSync(join(tmpdir(), 'longest-names-')), 'config.yaml');
const configuration = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16
---
apiVersion: kube-ipvs.dev/v1alpha1
kind: KubeIpvsConfiguration
metrics: {perService: {enabled: true}}
`;

let network: ClusterNetwork;
let server: ApiServer;
let daemon: DaemonProcess;

const inNode = (...command: readonly string[]): string =>
  execFileSync('ip', ['netns', 'exec', 'node', ...command], { encoding: 'utf8' });
/** Standard output. `explain` ends with status 1: it warns of the address that both Services request. */
const cli = (...args: readonly string[]): string => {
  const command = ['netns', 'exec', 'node', process.execPath, main, ...args];
  const { stdout, stderr } = spawnSync('ip', command, { encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout;
};

before(async () => {
  network = await ClusterNetwork.up(1);
  const address = network.linkNode();
  server = await ApiServer.start({ host: address });
  server.put(
    {
      kind: 'Node',
      metadata: { name: 'n1', uid: 'uid-of-n1' },
      spec: { podCIDRs: ['10.244.0.0/24'] },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    },
    ...objects,
  );
  writeFileSync(config, configuration);
  daemon = new DaemonProcess([`--config=${config}`, `--master=${server.url}`, '--hostname-override=n1'], {
    namespace: 'node',
  });
  await eventually(() =>
    assert.equal(
      savedTable('node').filter((line) => line.includes('-r 10.244.0.11')).length > 3,
      true,
      daemon.log,
    ),
  );
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('clients reach the Service on each of its addresses', () => {
  for (const [address, at] of [
    ['10.96.0.10', 80],
    ['192.0.2.1', 30080],
    ['203.0.113.20', 80],
  ] as const)
    assert.deepEqual(network.ask('client', 'tcp', address, at, 2), ['pod1', 'pod1'], address);
  assert.doesNotMatch(daemon.log, /"level":"error"|operation-refused|rendering-failed/, daemon.log);
});

test('dump, explain, status, top and the completion show the whole names', () => {
  for (const output of ['table', 'wide', 'json']) {
    const text = cli('dump', key, '-o', output);
    assert.ok(text.includes(output === 'json' ? `"${port}"` : `${key}:${port}`), text);
    assert.ok(text.includes(`${namespace}/${pod}`), text);
  }
  const explained = cli('explain', key);
  for (const part of [key, port, pod]) assert.ok(explained.includes(part), explained);
  assert.ok(cli('explain', '203.0.113.20:80').includes(key));
  assert.match(cli('status'), /virtual server/);
  assert.ok(cli('top', '--batch', '-n', '1').includes(key));
  assert.ok(cli('__complete', 'zsh', 'dump', namespace.slice(0, 5)).includes(key));
  assert.ok(cli('dump', '--connections', '-o', 'json').includes(`"${key}"`));
});

test('an Event about the Service has a name that the API server accepts', async () => {
  await eventually(() => assert.ok(server.events.some(({ reason }) => reason === 'AddressInUse')));
  const event = server.events.find(({ reason }) => reason === 'AddressInUse');
  assert.equal(event?.regarding?.name, name);
  assert.match(event?.metadata?.name ?? '', new RegExp(`^${name}\\.[0-9a-f]{16}$`));
  assert.ok(event?.note?.includes(`${namespace}/${older}`));
  assert.ok(Buffer.byteLength(event?.note ?? '') <= 1024);
});

test('the packet rules can be read by nft, and the metrics have no name cut off', () => {
  const rules = inNode('nft', 'list', 'ruleset');
  assert.match(rules, /203\.0\.113\.20 \. tcp \. 80/);
  const page = inNode(
    'bash',
    '-c',
    'exec 3<>/dev/tcp/127.0.0.1/10249; printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3',
  );
  const series = page
    .split('\n')
    .filter((line) => line.includes(`"${namespace}"`) && line.includes(`"${name}"`));
  assert.ok(series.length > 5, page.slice(0, 2_000));
});
