// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.js';
import { ClusterStore } from '../../src/watch/store/cluster-store.js';
import { manifestSource } from '../../src/watch/manifests/manifest-source.js';
import type { Source } from '../../src/watch/source.js';
import type { Fault } from '../support/api-faults.js';
import type { ApiObject } from '../support/api-objects.js';
import { sampleNode } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { follow, until } from './follower.js';

const withReady = (name: string, status: string): ApiObject => ({
  ...sampleNode(name, 'a'),
  apiVersion: 'v1',
  status: {
    conditions: [
      { type: 'MemoryPressure', status: 'Unknown' },
      { type: 'Ready', status },
    ],
  },
});

const stateOf = (source: Source, name: string): Promise<string> =>
  source.nodeState(name, new AbortController().signal);

test('API server: a Node that is not there is gone; any other is there, heard of or not', async () => {
  await using server = await ApiServer.start();
  server.put(
    withReady('up', 'True'),
    withReady('down', 'False'),
    withReady('silent', 'Unknown'),
    sampleNode('bare', 'a'),
  );
  await using follower = follow(server);
  const states = await Promise.all(
    ['up', 'down', 'silent', 'bare', 'none', 'odd/../name ü'].map((name) => stateOf(follower.source, name)),
  );
  assert.deepEqual(states, ['there', 'there', 'there', 'there', 'gone', 'gone']);
});

const faults: readonly Fault[] = [
  { fault: 'status', status: 404, reason: 'NotFound' },
  { fault: 'status', status: 403, reason: 'Forbidden' },
  { fault: 'status', status: 429, retryAfterSeconds: 0 },
  { fault: 'status', status: 500 },
  { fault: 'status', status: 502, html: true },
  { fault: 'status', status: 404, html: true },
  { fault: 'refuse' },
];

for (const fault of faults)
  test(`API server: ${JSON.stringify(fault)} says nothing of a Node`, async () => {
    await using server = await ApiServer.start();
    await using follower = follow(server);
    server.fail({ resource: 'nodes', verb: 'get', fault });
    await assert.rejects(stateOf(follower.source, 'n2'));
    assert.equal(await stateOf(follower.source, 'n2'), 'gone');
  });

test('API server: a question ends with its signal', async () => {
  await using server = await ApiServer.start();
  await using follower = follow(server);
  server.fail({ resource: 'nodes', verb: 'get', fault: { fault: 'no-answer' } });
  const stop = new AbortController();
  const asked = follower.source.nodeState('n2', stop.signal);
  await until('it has come', () => server.requests.some(({ verb }) => verb === 'get'));
  stop.abort();
  await assert.rejects(asked, { name: 'AbortError' });
});

test('manifests: a Node is gone that was there and is not; of others nothing is known', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-nodes-'));
  const write = (...nodes: readonly ApiObject[]): void =>
    writeFileSync(
      join(folder, 'nodes.json'),
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: nodes }),
    );
  write(withReady('a', 'True'), withReady('b', 'True'));
  const store = new ClusterStore(() => {});
  {
    await using source = manifestSource({
      path: folder,
      nodeName: 'a',
      logger: silentLogger,
      settleMilliseconds: 10,
    });
    source.start(store);
    await until('the manifests', () => store.synced);
    assert.deepEqual([await stateOf(source, 'b'), await stateOf(source, 'c')], ['there', 'there']);
    write({ ...withReady('a', 'Unknown'), metadata: sampleNode('a', 'elsewhere').metadata });
    await until('the change', () => store.node?.zone === 'elsewhere');
    assert.deepEqual(
      [await stateOf(source, 'a'), await stateOf(source, 'b'), await stateOf(source, 'c')],
      ['there', 'gone', 'there'],
    );
    writeFileSync(join(folder, 'nodes.json'), 'kind: [');
    await until('the trouble', () => source.health().lastError !== undefined);
    assert.equal(await stateOf(source, 'b'), 'gone');
  }
  rmSync(folder, { recursive: true });
});
