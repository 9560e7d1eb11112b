import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';

interface NodeParts {
  readonly podCIDRs?: readonly string[];
  readonly addresses?: readonly string[];
  readonly zone?: string;
}

const node = ({ podCIDRs, addresses = ['192.0.2.10'], zone = 'a' }: NodeParts): ApiObject => ({
  kind: 'Node',
  metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': zone } },
  spec: { podCIDRs },
  status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
});

const service: ApiObject = {
  kind: 'Service',
  metadata: { namespace: 'default', name: 'web' },
  spec: {
    type: 'NodePort',
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10'],
    ports: [{ port: 80, nodePort: 30080 }],
  },
};

const slice: ApiObject = {
  kind: 'EndpointSlice',
  metadata: {
    namespace: 'default',
    name: 'web-x',
    labels: { 'kubernetes.io/service-name': 'web' },
  },
  addressType: 'IPv4',
  ports: [{ port: 8080 }],
  endpoints: [
    { addresses: ['10.244.9.1'], hints: { forZones: [{ name: 'a' }] } },
    { addresses: ['10.244.9.2'], hints: { forZones: [{ name: 'b' }] } },
  ],
};

const clusterIpRules = (): string => runLine('nft -s list chain ip kube-ipvs cluster-ip');

const serving = (real: string, ...virtual: readonly string[]): void =>
  assert.deepEqual(
    savedTable(),
    virtual
      .flatMap((server) => [`-A -t ${server} -s rr`, `-a -t ${server} -r ${real}:8080 -m -w 1`])
      .toSorted(),
  );

let server: ApiServer;
let daemon: DaemonProcess;

const holds = async (check: () => void): Promise<void> =>
  eventually(check).catch((error: unknown) => {
    throw new Error(daemon.log, { cause: error });
  });

before(async () => {
  runLine('ip link add eth0 type dummy');
  for (const last of [10, 11]) runLine(`ip address add 192.0.2.${last}/24 dev eth0`);
  runLine('ip link set eth0 up');
  server = await ApiServer.start();
  server.put(service, slice, node({}));
  daemon = new DaemonProcess([
    `--master=${server.url}`,
    '--hostname-override=n1',
    '--detect-local-mode=NodeCIDR',
    '--nodeport-addresses=primary',
  ]);
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('while the Node has no podCIDRs everything is served, and every request to a ClusterIP is masqueraded', async () => {
  await holds(() => serving('10.244.9.1', '10.96.0.10:80', '192.0.2.10:30080'));
  assert.match(clusterIpRules(), /masqueradeAll/);
  assert.match(daemon.log, /the Node has no spec\.podCIDRs yet/);
});

test('podCIDRs are followed in place when they come and when they change', async () => {
  server.put(node({ podCIDRs: ['10.244.1.0/24'] }));
  await holds(() => assert.match(clusterIpRules(), /ip saddr != 10\.244\.1\.0\/24/));
  assert.doesNotMatch(clusterIpRules(), /masqueradeAll/);
  server.put(node({ podCIDRs: ['10.244.2.0/24'] }));
  await holds(() => assert.match(clusterIpRules(), /ip saddr != 10\.244\.2\.0\/24/));
  serving('10.244.9.1', '10.96.0.10:80', '192.0.2.10:30080');
});

test('the primary address and the zone are followed in place', async () => {
  server.put(node({ podCIDRs: ['10.244.2.0/24'], addresses: ['192.0.2.11'] }));
  await holds(() => serving('10.244.9.1', '10.96.0.10:80', '192.0.2.11:30080'));
  server.put(node({ podCIDRs: ['10.244.2.0/24'], addresses: ['192.0.2.11'], zone: 'b' }));
  await holds(() => serving('10.244.9.2', '10.96.0.10:80', '192.0.2.11:30080'));
});

test('a Node that is deleted, and one that comes back bare, change nothing', async () => {
  server.delete('Node', 'n1');
  await holds(() => assert.match(daemon.log, /node-deleted/));
  server.put(node({ addresses: [], zone: 'b' }));
  const marker: ApiObject = {
    ...service,
    metadata: { namespace: 'default', name: 'marker' },
    spec: { type: 'ClusterIP', clusterIP: '10.96.0.99', clusterIPs: ['10.96.0.99'], ports: [{ port: 80 }] },
  };
  server.put(marker);
  await holds(() => assert.match(savedTable().join(), /10\.96\.0\.99:80/));
  server.delete('Service', 'default/marker');
  await holds(() => serving('10.244.9.2', '10.96.0.10:80', '192.0.2.11:30080'));
  assert.match(clusterIpRules(), /ip saddr != 10\.244\.2\.0\/24/);
  assert.equal(await daemon.stop(), 0);
});
