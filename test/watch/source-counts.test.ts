// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.js';
import { apiSource } from '../../src/watch/api/api-source.js';
import { ClusterStore } from '../../src/watch/store/cluster-store.js';
import { manifestSource } from '../../src/watch/manifests/manifest-source.js';
import { sampleNode, sampleService } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { eventually } from '../support/daemon-process.js';
import { plainCredentials } from './follower.js';

test('requests are told of with their answers, and each resource counts what it did', async () => {
  await using server = await ApiServer.start({});
  server.put(sampleService('a'), sampleNode('node-1', 'zone-a'));
  const requests: string[] = [];
  await using source = apiSource({
    credentials: plainCredentials(server.url),
    nodeName: 'node-1',
    logger: silentLogger,
    requestObserver: ({ method, host, code }) => void requests.push(`${method} ${host} ${code}`),
  });
  const store = new ClusterStore(() => {});
  source.start(store);
  await eventually(() => assert.ok(store.synced));
  assert.deepEqual(
    requests,
    ['services', 'endpointslices', 'nodes'].map(() => `GET 127.0.0.1:${server.port} 200`),
  );
  server.put(sampleService('b'));
  await eventually(() => assert.equal([...store.serviceKeys()].length, 2));
  const { resources, manifests } = source.counts();
  assert.deepEqual([...resources.keys()], ['services', 'endpointslices', 'nodes']);
  const services = resources.get('services');
  assert.deepEqual([services?.lists, services?.watches, services?.following], [1, 1, true]);
  assert.ok(Date.now() - (services?.lastEventAt ?? 0) < 30_000);
  assert.equal(manifests, undefined);
});

test('a server that is not there is an error of each request, and nothing is being followed', async () => {
  const server = await ApiServer.start({});
  const { url } = server;
  await server[Symbol.asyncDispose]();
  const codes: string[] = [];
  await using source = apiSource({
    credentials: plainCredentials(url),
    nodeName: 'node-1',
    logger: silentLogger,
    requestObserver: ({ code }) => void codes.push(code),
  });
  source.start(new ClusterStore(() => {}));
  await eventually(() => assert.deepEqual(codes.slice(0, 3), ['<error>', '<error>', '<error>']));
  await eventually(() => assert.equal(source.counts().resources.get('nodes')?.failures.connection, 1));
  assert.equal(source.counts().resources.get('nodes')?.following, false);
});

test('manifests count what could not be read, and what cannot be now', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'counts-')), 'world.yaml');
  writeFileSync(path, 'kind: [');
  await using source = manifestSource({ path, nodeName: 'n1', logger: silentLogger, settleMilliseconds: 5 });
  source.start(new ClusterStore(() => {}));
  await eventually(() => assert.deepEqual(source.counts().manifests, { failures: 1, broken: 1 }));
  writeFileSync(path, '');
  await eventually(() => assert.deepEqual(source.counts().manifests, { failures: 1, broken: 0 }));
});
