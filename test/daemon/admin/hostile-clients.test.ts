import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AdminClient } from '../../../src/cli/admin/admin-client.js';
import { AdminSocket } from '../../../src/daemon/admin/admin-socket.js';
import { objectMembers, streamResponse, valueResponse } from '../../../src/daemon/admin/json-stream.js';
import { valueOf } from '../../../src/doctor/check-result.js';
import { status } from '../../support/doctor-facts.js';
import { eventually } from '../../support/daemon-process.js';
import { RecordingLog } from '../../support/recording-log.js';

// Who may connect is root, but may be mistaken: nobody keeps another from an answer, and none of it is the daemon's trouble.

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-hostile-'));
const path = join(scratch, 'admin.sock');
after(() => rmSync(scratch, { recursive: true }));

/** Virtual servers that were written to somebody. */
let written = 0;

function* many(): Iterable<readonly [string, object]> {
  for (let index = 0; index < 100_000; index += 1) {
    written += 1;
    yield [`TCP 10.96.0.1:${index}`, { service: `shop/web-${index}`, realServers: {} }];
  }
}

const log = new RecordingLog();
const socket = await AdminSocket.open(
  path,
  ({ url }) =>
    url === '/v1/status'
      ? valueResponse({ ...valueOf(status()), pid: 1 })
      : streamResponse([
          ['version', 1],
          ['virtualServers', objectMembers(many())],
        ]),
  log,
);
after(() => socket[Symbol.asyncDispose]());

const connected = async (): Promise<Socket> => {
  const client = connect(path);
  client.on('error', () => {});
  await once(client, 'connect');
  return client;
};

const isAnswered = async (): Promise<void> => {
  assert.equal((await new AdminClient(path).status()).pid, 1);
};

/** All that comes until the other side closes; what it left unread may reset the connection before its answer is read: undefined. */
const answerTo = async (text: string): Promise<string | undefined> => {
  const client = await connected();
  let answer = '';
  let error: NodeJS.ErrnoException | undefined;
  client.setEncoding('utf8').on('data', (part: string) => (answer += part));
  client.on('error', (reason) => (error = reason));
  client.write(text);
  await new Promise((resolve) => client.once('close', resolve));
  if (error !== undefined) assert.ok(['ECONNRESET', 'EPIPE'].includes(error.code ?? ''), error);
  return error === undefined || answer !== '' ? answer : undefined;
};

const isRefused = async (text: string, status: RegExp): Promise<void> => {
  const answer = await answerTo(text);
  if (answer !== undefined) assert.match(answer, status);
};

test('a hundred that ask nothing, or one byte of it, keep nobody from an answer', async () => {
  const silent = await Promise.all(Array.from({ length: 100 }, connected));
  for (const client of silent) if (!client.destroyed) client.write('G');
  await isAnswered();
  await eventually(() => assert.ok(silent.filter(({ destroyed }) => !destroyed).length <= 32));
  for (const client of silent) client.destroy();
});

test('who asks for everything and reads nothing costs no memory, and keeps nobody from an answer', async () => {
  written = 0;
  const deaf: Socket[] = [];
  for (let index = 0; index < 40; index += 1) {
    const client = await connected();
    client.pause();
    client.write('GET /v1/virtual-servers HTTP/1.1\r\nHost: x\r\n\r\n');
    deaf.push(client);
    await isAnswered();
  }
  // What fits the buffers of the system was made, and no more: all would be four millions.
  assert.ok(written < 1_000_000, `${written} were written`);
  for (const client of deaf) client.destroy();
  await isAnswered();
});

test('who hangs up in the middle of an answer is not answered further, and nothing is logged of it', async () => {
  for (let index = 0; index < 20; index += 1) {
    const client = await connected();
    client.write('GET /v1/virtual-servers HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client, 'data');
    client.destroy();
  }
  await isAnswered();
  let before = -1;
  await eventually(() => {
    const still = written === before;
    before = written;
    assert.ok(still, 'it is still written');
  });
  assert.deepEqual(log.lines, []);
});

test('what is no request, or an endless one, is refused', async () => {
  await isRefused('\u0000\u0001garbage\r\n\r\n', /^HTTP\/1\.1 400 /);
  await isRefused(`GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`, /^HTTP\/1\.1 431 /);
  const headers = `X-Header: ${'x'.repeat(1_000)}\r\n`.repeat(100);
  await isRefused(`GET / HTTP/1.1\r\n${headers}\r\n`, /^HTTP\/1\.1 431 /);
  await isAnswered();
});
