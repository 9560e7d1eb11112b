import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nativeShims } from '../../native-shims/index.js';
import { InputError } from '../../src/base/errors.js';
import { lockInstance } from '../../src/daemon/instance-lock.js';
import { defaultInstance, type InstanceNames } from '../../src/model/instance-names.js';
import { until } from '../support/eventually.js';
import { RecordingLog } from '../support/recording-log.js';

/** The names of an instance that no other process has. */
const newNames = (): InstanceNames => ({ ...defaultInstance, table: `instance-lock-test-${randomUUID()}` });

const request = (names: InstanceNames, { waits = true } = {}) => {
  const log = new RecordingLog();
  const stop = new AbortController();
  const lock = lockInstance(names, { waits, signal: stop.signal, log });
  const isWaiting = (): Promise<void> =>
    until('it waits', () => log.of('waiting-for-other-daemon').length === 1);
  return { lock, log, stop, isWaiting };
};

test('a second daemon waits until the first has given the lock back, and a third one until then', async () => {
  const names = newNames();
  const first = request(names);
  const held = await first.lock;
  assert.deepEqual(first.log.lines, []);
  const second = request(names);
  await second.isWaiting();
  assert.deepEqual(second.log.lines, [
    {
      level: 'warn',
      fields: { event: 'waiting-for-other-daemon', pid: process.pid },
      message: 'Another kube-ipvs process programs this node; waiting until it ends',
    },
  ]);
  held[Symbol.dispose]();
  const next = await second.lock;
  assert.equal(second.log.of('other-daemon-ended').length, 1);
  const third = request(names);
  await third.isWaiting();
  next[Symbol.dispose]();
  (await third.lock)[Symbol.dispose]();
});

test('daemons of other instances do not wait for each other', async () => {
  using _one = await request(newNames()).lock;
  const other = request(newNames());
  using _other = await other.lock;
  assert.deepEqual(other.log.lines, []);
});

test('a process that is killed gives the lock back', async () => {
  const names = newNames();
  const module = fileURLToPath(new URL('../../src/daemon/instance-lock.js', import.meta.url));
  const text = `
    import { lockInstance } from ${JSON.stringify(module)};
    await lockInstance(${JSON.stringify(names)}, { waits: true, signal: new AbortController().signal, log: console });
    console.log('locked');
    setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', text], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const second = request(names);
  await second.isWaiting();
  assert.equal(second.log.lines[0]?.fields['pid'], child.pid);
  child.kill('SIGKILL');
  (await second.lock)[Symbol.dispose]();
});

test('a daemon that is stopped while it waits does not get the lock', async () => {
  const names = newNames();
  const held = await request(names).lock;
  const second = request(names);
  await second.isWaiting();
  second.stop.abort();
  await second.lock;
  assert.equal(second.log.of('other-daemon-ended').length, 0);
  held[Symbol.dispose]();
  using _third = await request(names).lock;
});

test('a process that does not wait fails, and says what runs', async () => {
  const names = newNames();
  using _held = await request(names).lock;
  await assert.rejects(
    request(names, { waits: false }).lock,
    new InputError(
      `kube-ipvs already runs in this network namespace (process ${process.pid}); stop it, or leave out --once`,
    ),
  );
});

test('a daemon does not wait for a process of another user', async () => {
  const names = newNames();
  process.seteuid?.(65_534);
  const listening = nativeShims().listenAt(new TextEncoder().encode(names.table));
  process.seteuid?.(0);
  const { lock, log } = request(names);
  using _unlocked = await lock;
  nativeShims().close(listening);
  assert.deepEqual(log.lines, [
    {
      level: 'warn',
      fields: {
        event: 'instance-lock-unavailable',
        error: `process ${process.pid} of user 65534 has the name of the lock`,
      },
      message: 'A second kube-ipvs process would not be noticed',
    },
  ]);
});
