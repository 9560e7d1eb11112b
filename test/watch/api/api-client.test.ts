import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { mock, test, type TestContext } from 'node:test';
import { once } from 'node:events';
import { ApiClient } from '../../../src/watch/api/api-client.js';
import { IdleTimeoutError } from '../../../src/watch/api/deadlines.js';
import { plainCredentials } from '../follower.js';

/** A server that takes connections and never says a word. */
const muteServer = async (): Promise<Server & AsyncDisposable> => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
};

const fakeTimers = (context: TestContext): void => {
  mock.timers.enable({ apis: ['setTimeout'] });
  context.after(() => mock.timers.reset());
};

test('a server that takes the connection but no TLS handshake is given up after ten seconds, not after the time for an answer', async (context) => {
  await using server = await muteServer();
  fakeTimers(context);
  const { port } = server.address() as AddressInfo;
  using client = new ApiClient(plainCredentials(`https://127.0.0.1:${port}`));
  const connected = once(server, 'connection');
  const answer = client.open('/', { signal: new AbortController().signal, milliseconds: 60_000 });
  const refused = assert.rejects(answer, (error: unknown) => {
    assert.ok(error instanceof IdleTimeoutError);
    assert.match(error.message, /TLS handshake within 10 s/);
    return true;
  });
  const [socket] = (await connected) as [Socket];
  // The first bytes of the handshake: the client has seen that it is connected.
  await once(socket, 'data');
  mock.timers.tick(10_000);
  await refused;
});

test('once it is connected, only the time for an answer counts', async (context) => {
  await using server = await muteServer();
  fakeTimers(context);
  const { port } = server.address() as AddressInfo;
  using client = new ApiClient(plainCredentials(`http://127.0.0.1:${port}`));
  const connected = once(server, 'connection');
  const answer = client.open('/', { signal: new AbortController().signal, milliseconds: 60_000 });
  const refused = assert.rejects(answer, /no data within 60 s/);
  await connected;
  await new Promise<void>((resolve) => setImmediate(resolve));
  mock.timers.tick(2_000);
  mock.timers.tick(58_000);
  await refused;
});
