import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer, type ApiServerOptions } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { grantedRights } from '../support/granted-rights.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { elapse } from '../support/virtual-clock.js';
import { kubeconfigFor } from '../support/kubeconfig.js';

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-events-'));

const kubeconfig = (url: string): string => {
  const path = join(scratch, 'kubeconfig');
  writeFileSync(path, kubeconfigFor(url, 'secret'));
  return path;
};

const node: ApiObject = {
  kind: 'Node',
  metadata: { name: 'n1', uid: 'uid-of-n1' },
  spec: { podCIDRs: ['10.244.1.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] },
};

const service = (name: string, clusterIP: string, created: number): ApiObject => ({
  kind: 'Service',
  metadata: {
    namespace: 'shop',
    name,
    uid: `uid-of-${name}`,
    creationTimestamp: `202${created}-01-01T00:00:00Z`,
  },
  spec: {
    type: 'ClusterIP',
    clusterIP,
    clusterIPs: [clusterIP],
    externalIPs: ['203.0.113.7'],
    ports: [{ port: 80 }],
  },
});

const start = (server: ApiServer, ...flags: readonly string[]): DaemonProcess =>
  new DaemonProcess([`--kubeconfig=${kubeconfig(server.url)}`, '--hostname-override=n1', ...flags]);

const startServer = async (options: ApiServerOptions = {}): Promise<ApiServer> => {
  const server = await ApiServer.start({ token: 'secret', ...options });
  server.put(node, service('web', '10.96.0.10', 0), service('api', '10.96.0.11', 1));
  return server;
};

const programmed = (): Promise<void> => eventually(() => assert.equal(savedTable().length, 3));

const groups: ReadonlyMap<string, string> = new Map([
  ['endpointslices', 'discovery.k8s.io'],
  ['events', 'events.k8s.io'],
]);

/** The right that each request needs, as `VERB GROUP/RESOURCE`; sorted. */
const rightsUsed = (server: ApiServer): readonly string[] => {
  const verbs: Readonly<Record<string, string>> = { page: 'list', watchlist: 'watch' };
  const rights = server.requests.map(
    ({ resource, verb }) => `${verbs[verb] ?? verb} ${groups.get(resource) ?? ''}/${resource}`,
  );
  return [...new Set(rights)].toSorted();
};

/** Sorted. */
const events = (server: ApiServer): readonly string[] =>
  server.events
    .map(
      ({ reason, regarding, reportingController, type }) =>
        `${type} ${reason} ${regarding?.kind} ${regarding?.name} ${regarding?.uid} ${reportingController}`,
    )
    .toSorted();

const starting = 'Normal Starting Node n1 n1 kube-proxy';
const clash = 'Warning AddressInUse Service api uid-of-api kube-proxy';

before(() => {
  runLine('ip link add eth0 type dummy');
  runLine('ip address add 192.0.2.10/24 dev eth0');
  runLine('ip link set eth0 up');
});

after(() => void runLine('ip link delete eth0'));

test('the start and what is wrong with a Service are events; a restart does not repeat the latter', async () => {
  await using server = await startServer();
  await using first = start(server);
  await eventually(() => assert.deepEqual(events(server), [starting, clash]), 20_000).catch(
    (error: unknown) => {
      throw new Error(first.log, { cause: error });
    },
  );
  const told = server.events.find(({ reason }) => reason === 'AddressInUse');
  assert.match(told?.note ?? '', /203\.0\.113\.7:80 is served for the Service shop\/web, which is older/);
  assert.equal(await first.stop(), 0);
  await using second = start(server);
  await eventually(() => assert.equal(server.events.length, 3));
  assert.deepEqual(events(server), [starting, starting, clash]);
  assert.equal(await second.stop(), 0);
});

test('the daemon asks for the rights that it is given, and for no other', async () => {
  // Without WatchList it lists, too.
  await using server = await startServer({ watchList: 'refused' });
  await using daemon = start(server);
  await eventually(() => assert.deepEqual(events(server), [starting, clash]));
  // The same problem again: the event that there is of it is updated, at the end at the latest.
  server.delete('Service', 'shop/web');
  await eventually(() => assert.equal(savedTable().length, 2));
  server.put(service('web', '10.96.0.10', 0));
  await programmed();
  assert.equal(await daemon.stop(), 0);
  assert.equal(server.events.find(({ reason }) => reason === 'AddressInUse')?.series?.count, 2);
  // A Node is asked for only where something drains: lost-nodes.test.ts has that.
  assert.deepEqual([...rightsUsed(server), 'get /nodes'].toSorted(), grantedRights());
});

test('nothing waits for events: Services are served while the API server takes none', async () => {
  await using server = await startServer();
  server.fail({ resource: 'events', times: 1000, fault: { fault: 'no-answer' } });
  await using daemon = start(server);
  await programmed();
  server.delete('Service', 'shop/api');
  await eventually(() => assert.equal(savedTable().length, 2));
  const began = performance.now();
  assert.equal(await daemon.stop(), 0);
  assert.ok(performance.now() - began < 4_000, 'the end waits two seconds for events, not longer');
  // What the kernel holds stays: the node goes on serving.
  assert.equal(savedTable().length, 2);
});

test('what waits is told at the end', async () => {
  await using server = await startServer();
  server.fail({
    resource: 'events',
    times: 1,
    fault: { fault: 'status', status: 429, retryAfterSeconds: 600 },
  });
  await using daemon = start(server);
  await programmed();
  await eventually(() => assert.equal(server.pendingFaults, 0));
  await elapse(200);
  assert.deepEqual(server.events, []);
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual(events(server), [starting, clash]);
});

for (const [first, second] of [
  ['SIGTERM', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
] as const)
  test(`${first} is heeded, and ${second} after it ends at once`, async () => {
    await using server = await startServer();
    server.fail({ resource: 'events', times: 1000, fault: { fault: 'no-answer' } });
    await using daemon = start(server);
    await programmed();
    await eventually(() => assert.ok(server.requests.some(({ resource }) => resource === 'events')));
    daemon.signal(first);
    await eventually(() => assert.match(daemon.log, new RegExp(`"signal":"${first}"`)));
    assert.equal(await daemon.stop(second), second);
  });

test('with --once an interrupted run is an error, a finished one none', async () => {
  await using server = await startServer();
  await using done = start(server, '--once');
  assert.equal(await done.ended(), 0);
  assert.deepEqual(events(server), [starting, clash]);
  server.fail({ times: 1000, fault: { fault: 'no-answer' } });
  await using waiting = start(server, '--once');
  await eventually(() => assert.match(waiting.log, /"daemon-starting"/));
  assert.equal(await waiting.stop(), 1);
});
