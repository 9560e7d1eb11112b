import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { nodeLabel } from '../../../src/cli/migrate/node-label.js';
import { ApiError } from '../../../src/watch/api/api-client.js';

test('the label of the Node is patched, tried without a change, and removed', async () => {
  const requests: unknown[] = [];
  let status = 200;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url, headers } = request;
    requests.push([method, url, headers['content-type'], JSON.parse(await text(request))]);
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ kind: 'Status', message: 'nodes "n1" is forbidden' }));
  };
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const label = nodeLabel({ kubeconfig: undefined, master: `http://127.0.0.1:${port}`, nodeName: 'n1' });
  await label('changing', { dryRun: true });
  await label('kube-ipvs');
  await label(undefined);
  const patch = (query: string, value: string | null) => [
    'PATCH',
    `/api/v1/nodes/n1${query}`,
    'application/merge-patch+json',
    { metadata: { labels: { 'kube-ipvs.dev/service-proxy': value } } },
  ];
  assert.deepEqual(requests, [patch('?dryRun=All', 'changing'), patch('', 'kube-ipvs'), patch('', null)]);
  status = 403;
  await assert.rejects(label('kube-ipvs'), (error) => {
    assert.ok(error instanceof ApiError);
    assert.match(error.message, /nodes "n1" is forbidden/);
    return true;
  });
  server.close();
});
