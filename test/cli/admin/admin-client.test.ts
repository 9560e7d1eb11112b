import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AdminClient, queryDaemon, DaemonUnavailableError } from '../../../src/cli/admin/admin-client.js';
import type { DumpQuery } from '../../../src/cli/dump/dump.js';
import { refreshQuery } from '../../../src/cli/dump/dump-watch.js';
import { buildServiceIndex } from '../../../src/cli/admin/service-index.js';
import { valueOf } from '../../../src/doctor/check-result.js';
import { status } from '../../support/doctor-facts.js';

const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-client-'));
const path = join(folder, 'admin.sock');
after(() => rmSync(folder, { recursive: true }));

/** Asks one that answers so. */
const asking = async <Answer>(listener: RequestListener, ask: (client: AdminClient) => Promise<Answer>) => {
  const server = createServer(listener).listen(path);
  await once(server, 'listening');
  try {
    return await ask(new AdminClient(path));
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
};

const saying =
  (answer: unknown, code = 200): RequestListener =>
  (_, response) =>
    response.writeHead(code).end(typeof answer === 'string' ? answer : JSON.stringify(answer));

const whole = valueOf(status());
const { lostNodes: _, ...older } = whole ?? { lostNodes: [] };

const refusals: Readonly<Record<string, readonly [RequestListener, RegExp]>> = {
  'a daemon of another version of the answers': [
    saying({ ...whole, version: 2 }),
    /answers in version 2, .*own version$/,
  ],
  'an older one, without a field': [
    saying(older),
    /does not tell lostNodes; use the program of the daemon's own version$/,
  ],
  'an older one, without the page': [
    saying({ version: 1, error: 'there are /v1/other' }, 404),
    /does not answer GET \/v1\/status; use the program/,
  ],
  'somebody else': [saying('<html>'), /is no kube-ipvs/],
  'somebody who answers with null': [saying('null'), /is no kube-ipvs/],
  'one that ends amid its answer': [
    (_request, response) => {
      response.writeHead(200, { 'Content-Length': 1_000 }).write('{"version":');
      setImmediate(() => response.destroy());
    },
    /broke off its answer: .*; try again$/,
  ],
};

for (const [who, [listener, message]] of Object.entries(refusals))
  test(`${who} is as good as none, and the reason is told`, async () => {
    await assert.rejects(
      asking(listener, (client) => client.status()),
      (error) => {
        assert.ok(error instanceof DaemonUnavailableError);
        assert.match(error.message, message);
        return true;
      },
    );
    const told = await asking(listener, () => queryDaemon(path, (client) => client.status()));
    assert.match(told.reason ?? '', message);
  });

test('who watches keeps the names while the daemon is away or has just started', async () => {
  const names = (service: string) => ({
    version: 1 as const,
    virtualServers: { 'TCP 10.96.0.1:80': { service, realServers: {} } },
  });
  const last = { target: undefined, names: buildServiceIndex(names('shop/web')) };
  const asked = async (synced: boolean) =>
    asking(
      ({ url = '' }, response) =>
        response.end(JSON.stringify(url === '/v1/status' ? { ...whole, synced } : names('shop/new'))),
      () => refreshQuery(last, path),
    );
  const service = ({ names: book }: DumpQuery) => book.get('TCP 10.96.0.1:80')?.service;
  assert.equal(service(await asked(true)), 'shop/new');
  assert.equal(service(await asked(false)), 'shop/web');
  assert.equal(service(await refreshQuery(last, path)), 'shop/web');
});

test('a question that broke the daemon is told as that', async () => {
  await assert.rejects(
    asking(saying('internal error\n', 500), (client) => client.status()),
    /could not answer; its log says why$/,
  );
});

test('a Service that there is not is no error, and what is told of it is kept', async () => {
  const answer = saying({ version: 1, error: 'there is no Service shop/web' }, 404);
  assert.deepEqual(await asking(answer, (client) => client.service('shop', 'web')), {
    report: undefined,
    missing: 'there is no Service shop/web',
  });
  await assert.rejects(
    asking(answer, (client) => client.desired()),
    /does not answer GET \/v1\/wanted;/,
  );
});
