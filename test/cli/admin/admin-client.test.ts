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
  'a daemon with another API version': [
    saying({ ...whole, version: 2 }),
    /another version: it uses API version 2, /,
  ],
  'an older daemon, without a field': [
    saying(older),
    /another version: .* lostNodes\. Use the program of the daemon's version\.$/,
  ],
  'an older daemon, without the page': [
    saying({ version: 1, error: 'there are /v1/other' }, 404),
    /another version: .* GET \/v1\/status\. Use the program/,
  ],
  'another program': [saying('<html>'), /is not kube-ipvs/],
  'another program, which answers null': [saying('null'), /is not kube-ipvs/],
  'a daemon that ends while it answers': [
    (_request, response) => {
      response.writeHead(200, { 'Content-Length': 1_000 }).write('{"version":');
      setImmediate(() => response.destroy());
    },
    /closed the connection: .*Try again\.$/,
  ],
};

for (const [who, [listener, message]] of Object.entries(refusals))
  test(`${who} is unavailable, with a reason`, async () => {
    await assert.rejects(
      asking(listener, (client) => client.status()),
      (error) => {
        assert.ok(error instanceof DaemonUnavailableError);
        assert.match(error.message, message);
        return true;
      },
    );
    const told = await asking(listener, () =>
      queryDaemon({ adminSocket: path }, (client) => client.status()),
    );
    assert.match(told.reason ?? '', message);
  });

test('dump --watch keeps the names while the daemon is down or has just started', async () => {
  const names = (service: string) => ({
    version: 1 as const,
    virtualServers: { 'TCP 10.96.0.1:80': { service, realServers: {} } },
  });
  const last = { target: undefined, names: buildServiceIndex(names('shop/web')) };
  const asked = async (synced: boolean) =>
    asking(
      ({ url = '' }, response) =>
        response.end(JSON.stringify(url === '/v1/status' ? { ...whole, synced } : names('shop/new'))),
      () => refreshQuery(last, { adminSocket: path }),
    );
  const service = ({ names: book }: DumpQuery) => book.get('TCP 10.96.0.1:80')?.service;
  assert.equal(service(await asked(true)), 'shop/new');
  assert.equal(service(await asked(false)), 'shop/web');
  assert.equal(service(await refreshQuery(last, { adminSocket: path })), 'shop/web');
});

test('an internal error of the daemon is reported as such', async () => {
  await assert.rejects(
    asking(saying('internal error\n', 500), (client) => client.status()),
    /internal error of the kube-ipvs daemon/,
  );
});

test('a missing Service is not an error; the message of the daemon is kept', async () => {
  const answer = saying({ version: 1, error: 'there is no Service shop/web' }, 404);
  assert.deepEqual(await asking(answer, (client) => client.service('shop', 'web')), {
    report: undefined,
    missing: 'there is no Service shop/web',
  });
  await assert.rejects(
    asking(answer, (client) => client.desired()),
    /GET \/v1\/wanted/,
  );
});
