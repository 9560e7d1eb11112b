import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sampleNode, sampleService, sampleSlice } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { renderedOf } from '../support/rendered.js';
import { elapse } from '../support/virtual-clock.js';

// An hour without an API server, in the lab's virtual time.

const hour = 3_600_000;

const residentKilobytes = (daemon: DaemonProcess): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]);

const linesOf = (
  daemon: DaemonProcess,
  from: number,
): readonly { readonly level: string; readonly event?: string; readonly resource?: string }[] =>
  daemon.log
    .slice(from)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

/** As after a restart of a server whose cluster went on: what watchers have is too old. */
const restarted = async (port: number, version: number): Promise<ApiServer> => {
  const server = await ApiServer.start({ port });
  server.rewind(version);
  server.put(
    sampleService('web', { type: 'NodePort', ports: [{ name: 'http', port: 80, nodePort: 30_080 }] }),
  );
  server.put(sampleSlice('web', ['10.244.0.1', '10.244.0.2']), sampleNode('n1', 'a'));
  server.compact();
  return server;
};

test('the table stays, addresses are followed, memory and log are still; then one list a resource and no more than what changed', async () => {
  runLine('ip link add eth0 type dummy');
  runLine('ip address add 192.0.2.10/24 dev eth0');
  runLine('ip link set eth0 up');
  const first = await restarted(0, 100);
  const { port } = first;
  await using daemon = new DaemonProcess([`--master=${first.url}`, '--hostname-override=n1'], {
    // The tests' own young space is so large that it would fill for the whole hour.
    nodeArguments: ['--min-semi-space-size=1', '--max-semi-space-size=4'],
  });
  const serves = (server: ApiServer): Promise<void> =>
    eventually(() => assert.deepEqual(savedTable(), renderedOf(server, 'n1'), daemon.log), 120_000);
  await serves(first);
  await first[Symbol.asyncDispose]();
  const from = daemon.log.length;
  await elapse(300_000);
  const memory = residentKilobytes(daemon);
  runLine('ip address add 192.0.2.11/24 dev eth0');
  await serves(first);
  await elapse(hour);
  await serves(first);
  const grown = residentKilobytes(daemon) - memory;
  console.log(`${grown} kB more after an hour`);
  assert.ok(grown < 8_192, `${grown} kB`);
  const told = linesOf(daemon, from);
  assert.deepEqual(told.flatMap(({ resource }) => resource ?? []).toSorted(), [
    'endpointslices',
    'nodes',
    'services',
  ]);
  assert.ok(told.length <= 5, daemon.log.slice(from));
  const back = daemon.log.length;
  await using second = await restarted(port, 9_000);
  const lists = (): readonly string[] =>
    second.requests
      .filter(({ verb }) => verb !== 'watch')
      .map(({ resource, verb }) => `${verb} ${resource}`)
      .toSorted();
  const each = ['watchlist endpointslices', 'watchlist nodes', 'watchlist services'];
  await eventually(() => assert.deepEqual(lists(), each), 120_000);
  await elapse(120_000);
  assert.deepEqual(lists(), each);
  // One line a resource says why it is listed, and that is no warning.
  assert.deepEqual(
    linesOf(daemon, back)
      .filter(({ event }) => event !== 'resource-followed' && event !== 'resource-not-followed')
      .map(({ level, event, resource }) => `${level} ${resource}: ${event}`)
      .toSorted(),
    ['endpointslices', 'nodes', 'services'].map((resource) => `info ${resource}: resource-version-expired`),
  );
  second.put(sampleSlice('web', ['10.244.0.2']));
  await serves(second);
  assert.equal(await daemon.stop(), 0, daemon.log);
});
