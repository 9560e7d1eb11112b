import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sampleNode, sampleService, sampleSlice } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, savedTable } from '../support/lab-guest.js';
import { mutationsIn, logWithoutTrace, traceDaemons } from '../support/netlink-trace.js';
import { renderedOf } from '../support/rendered.js';
import { elapse } from '../support/virtual-clock.js';

// A start reads and changes nothing until it has been told everything; by what it sends to the kernel, in virtual time.

/** How long a client waits for an answer that does not come. */
const answerMilliseconds = 60_000;
let server: ApiServer;
let daemon: DaemonProcess;

const follows = (...resources: readonly string[]): Promise<void> =>
  eventually(() => {
    const told = logWithoutTrace(daemon.log);
    for (const resource of resources)
      assert.ok(new RegExp(`"event":"resource-followed","resource":"${resource}"`).test(told), told);
  }, 2 * answerMilliseconds);

const synced = async (): Promise<void> => {
  const wanted = renderedOf(server, 'n1');
  await follows('services', 'endpointslices', 'nodes');
  await eventually(() => assert.deepEqual(savedTable(), wanted));
  // What comes after the first sync: a look at everything.
  await elapse(45_000);
  assert.deepEqual(savedTable(), wanted);
};

const commands = (): readonly string[] =>
  mutationsIn(daemon.log).map((line) => line.slice(0, line.indexOf(' {')));

before(async () => {
  traceDaemons();
  server = await ApiServer.start();
  server.put(
    sampleService('web', { type: 'NodePort', ports: [{ name: 'http', port: 80, nodePort: 30_080 }] }),
    sampleSlice('web', ['10.244.0.1', '10.244.0.2']),
    sampleService('api', { clusterIP: '10.96.0.11', clusterIPs: ['10.96.0.11'] }),
    sampleSlice('api', ['10.244.0.3']),
    sampleNode('n1', 'a'),
  );
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

const withhold = (resource: string): void =>
  server.fail({ resource, verb: 'watchlist', fault: { fault: 'no-answer' } });

const start = (): void => {
  daemon = new DaemonProcess([`--master=${server.url}`, '--hostname-override=n1']);
};
afterEach(async () => {
  assert.equal(await daemon.stop(), 0, logWithoutTrace(daemon.log));
});

test('on a fresh kernel the interface is made, and nothing else before all is known', async () => {
  withhold('endpointslices');
  start();
  await follows('services', 'nodes');
  await elapse(answerMilliseconds - 10_000);
  assert.deepEqual(commands(), ['new-link']);
  assert.deepEqual([savedTable(), addressesOf('kube-ipvs0')], [[], []]);
  await synced();
  assert.ok(commands().includes('ipvs newDestination'));
});

for (const resource of ['endpointslices', 'services'])
  test(`a start changes nothing while ${resource} are withheld, and nothing then: the world is as it was`, async () => {
    const before = savedTable();
    withhold(resource);
    start();
    await follows('nodes', resource === 'services' ? 'endpointslices' : 'services');
    await elapse(answerMilliseconds - 10_000);
    assert.equal(server.pendingFaults, 0);
    assert.deepEqual([mutationsIn(daemon.log), savedTable()], [[], before]);
    await synced();
    assert.deepEqual([mutationsIn(daemon.log), savedTable()], [[], before]);
  });

test('what changed meanwhile is all that a start changes', async () => {
  server.put(sampleSlice('api', ['10.244.0.3', '10.244.0.4']));
  withhold('services');
  start();
  await synced();
  const ofServers = mutationsIn(daemon.log).filter((line) => line.startsWith('ipvs '));
  assert.equal(ofServers.length, 1, ofServers.join('\n'));
  assert.match(ofServers[0] ?? '', /^ipvs newDestination .*address=10\.96\.0\.11 .*address=10\.244\.0\.4 /);
});

test('where the Node does not come it is served without, after a while; nothing changes when it does', async () => {
  withhold('nodes');
  start();
  await synced();
  assert.deepEqual(mutationsIn(daemon.log), []);
});
