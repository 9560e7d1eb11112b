import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AdminSocket, AdminSocketError } from '../../../src/daemon/admin/admin-socket.js';
import { valueResponse } from '../../../src/daemon/admin/json-stream.js';
import { RecordingLog } from '../../support/recording-log.js';

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-socket-'));
after(() => rmSync(scratch, { recursive: true }));

const open = (path: string) => AdminSocket.open(path, () => valueResponse({}), new RecordingLog());

test('while the socket is made, files that others make meanwhile get their usual rights; nothing but the socket is left', async () => {
  const usual = process.umask();
  const folder = join(scratch, 'run');
  const opening = open(join(folder, 'admin.sock'));
  const seen = new Set<number>();
  for (let turn = 0; turn < 100; turn += 1) {
    seen.add(process.umask());
    await Promise.resolve();
  }
  await using _socket = await opening;
  assert.deepEqual([...seen], [usual]);
  assert.deepEqual(readdirSync(folder), ['admin.sock']);
  assert.equal(statSync(join(folder, 'admin.sock')).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
});

test('where the directory cannot be made the error says what to do; where the place is taken it does not', async () => {
  const error: unknown = await open('/sys/kube-ipvs/admin.sock').catch((reason: unknown) => reason);
  assert.ok(error instanceof AdminSocketError);
  assert.match(error.message, /^E(PERM|ACCES|ROFS): .*\/sys\/kube-ipvs/);
  assert.match(error.remedy ?? '', /^Give user \d+ a directory \/sys\/kube-ipvs .*--admin-socket=PATH/);
  await using _first = await open(join(scratch, 'taken.sock'));
  const taken: unknown = await open(join(scratch, 'taken.sock')).catch((reason: unknown) => reason);
  assert.ok(taken instanceof AdminSocketError);
  assert.equal(taken.remedy, undefined);
});
