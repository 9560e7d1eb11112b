import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RawNetlinkSocket } from 'netlink';
import { nativeShims } from '../../native-shims/index.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const shims = nativeShims();

/** NETLINK_USERSOCK: a protocol where processes write to each other. */
const userProtocol = 2;
const generic = 16;

const errnoOf = (action: () => unknown): unknown => {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Error);
    return Reflect.get(error, 'errno');
  }
  return assert.fail('no error');
};

/** NLMSG_NOOP that asks for an acknowledgement. */
const noop = Uint8Array.from([16, 0, 0, 0, 1, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0]);

describe('native shims', () => {
  test('an answer is there when send returns, and then there is none', () => {
    const descriptor = shims.openSocket(generic);
    const buffer = new Uint8Array(100);
    assert.equal(shims.receive(descriptor, buffer), -11);
    shims.send(descriptor, noop);
    assert.equal(shims.receive(descriptor, buffer), 36);
    assert.deepEqual([...buffer.subarray(4, 6), ...buffer.subarray(16, 20)], [2, 0, 0, 0, 0, 0]);
    assert.equal(shims.receive(descriptor, buffer), -11);
    shims.close(descriptor);
  });

  test('a datagram that does not fit tells its true length', () => {
    const descriptor = shims.openSocket(generic);
    shims.send(descriptor, noop);
    assert.equal(shims.receive(descriptor, new Uint8Array(10)), 36);
    shims.close(descriptor);
  });

  test('a socket with an abstract name tells who connects to it, and ends its connections when it closes', async () => {
    const name = new TextEncoder().encode(`native-shims-test-${randomUUID()}`);
    assert.equal(
      errnoOf(() => shims.connectTo(name)),
      constants.errno.ECONNREFUSED,
    );
    const listening = shims.listenAt(name);
    assert.equal(
      errnoOf(() => shims.listenAt(name)),
      constants.errno.EADDRINUSE,
    );
    const connection = shims.connectTo(name);
    const credentials = new Uint32Array(3);
    assert.equal(shims.readOption(connection, 1, 17, new Uint8Array(credentials.buffer)), 12);
    assert.deepEqual([...credentials], [process.pid, process.geteuid?.(), process.getegid?.()]);
    const socket = new Socket({ fd: connection }).on('error', () => {}).resume();
    shims.close(listening);
    await new Promise((resolve) => socket.once('close', resolve));
    shims.close(shims.listenAt(name));
  });

  test('an abstract name must fit into an address', () => {
    shims.close(shims.listenAt(new Uint8Array(107).fill(97)));
    const tooLong = new Uint8Array(108).fill(97);
    const { ENAMETOOLONG } = constants.errno;
    assert.equal(
      errnoOf(() => shims.listenAt(tooLong)),
      ENAMETOOLONG,
    );
    assert.equal(
      errnoOf(() => shims.connectTo(tooLong)),
      ENAMETOOLONG,
    );
  });

  test('options are set and read', () => {
    const descriptor = shims.openSocket(generic);
    shims.setOption(descriptor, 1, 8, 50_000);
    assert.equal(shims.getOption(descriptor, 1, 8), 100_000);
    shims.close(descriptor);
  });

  test('answers that find no room are counted', () => {
    const descriptor = shims.openSocket(generic);
    shims.setOption(descriptor, 270, 5, 1);
    shims.setOption(descriptor, 1, 8, 1);
    assert.equal(shims.dropped(descriptor), 0);
    for (let sent = 0; sent < 50; sent += 1) shims.send(descriptor, noop);
    let received = 0;
    const buffer = new Uint8Array(100);
    while (shims.receive(descriptor, buffer) > 0) received += 1;
    assert.ok(received > 0 && received < 50, `${received} received`);
    assert.equal(shims.dropped(descriptor), 50 - received);
    shims.close(descriptor);
  });

  test('what other processes send is dropped', async () => {
    const descriptor = shims.openSocket(userProtocol);
    const other = new RawNetlinkSocket(userProtocol);
    const delivered = new Promise((resolve) => {
      other.send(noop, { port: shims.portId(descriptor) }, resolve);
    });
    assert.equal(await delivered, undefined);
    assert.equal(shims.receive(descriptor, new Uint8Array(100)), -11);
    other.close();
    shims.close(descriptor);
  });

  test('a descriptor that is no netlink socket has no port id', () => {
    assert.equal(
      errnoOf(() => shims.portId(openSync('/dev/null', 'r'))),
      constants.errno.ENOTSOCK,
    );
  });

  const failures: readonly (readonly [string, () => unknown, keyof typeof constants.errno])[] = [
    ['a protocol that does not exist', () => shims.openSocket(31), 'EPROTONOSUPPORT'],
    ['a closed descriptor', () => shims.close(9999), 'EBADF'],
    ['send on what is no socket', () => shims.send(openSync('/dev/null', 'r'), noop), 'ENOTSOCK'],
    ['receive on a closed descriptor', () => shims.receive(9999, noop), 'EBADF'],
    ['an unknown option', () => shims.setOption(shims.openSocket(generic), 270, 99, 1), 'ENOPROTOOPT'],
    ['reading a closed descriptor’s option', () => shims.getOption(9999, 1, 8), 'EBADF'],
    ['drops of a closed descriptor', () => shims.dropped(9999), 'EBADF'],
    [
      'a datagram that is too long',
      () => shims.send(shims.openSocket(generic), new Uint8Array(1 << 22)),
      'EMSGSIZE',
    ],
  ];
  for (const [name, action, errno] of failures)
    test(`${name}: ${errno}`, () => {
      assert.equal(errnoOf(action), constants.errno[errno]);
    });

  test('wrong arguments are a TypeError', () => {
    const loose = shims as unknown as Record<string, (...values: unknown[]) => unknown>;
    for (const [name, ...values] of [
      ['openSocket'],
      ['openSocket', 'generic'],
      ['send', 1, 'text'],
      ['send', 1, new Uint16Array(8)],
      ['receive', 1],
    ] as const)
      assert.throws(() => loose[name]?.(...values), TypeError, `${name}(${values.join(', ')})`);
  });
});

test('free memory of the C library goes back to the kernel', () => {
  const program = `
    import { readFileSync } from 'node:fs';
    import { nativeShims } from ${JSON.stringify(new URL('../../native-shims/index.js', import.meta.url).href)};
    const resident = () => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;
    const shims = nativeShims();
    let buffers = Array.from({ length: 8_000 }, () => Buffer.allocUnsafeSlow(16_384).fill(1));
    // A block at the end of the heap: without it, the C library gives the memory back by itself.
    globalThis.last = buffers.at(-1);
    buffers = undefined;
    while (process.memoryUsage().arrayBuffers > 1e6) {
      globalThis.gc();
      await new Promise(setImmediate);
    }
    const before = resident();
    shims.trimHeap();
    console.log(before - resident());
  `;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '--input-type=module', '--eval', program],
    { encoding: 'utf8' },
  );
  assert.ok(Number(stdout) > 50e6, `${stdout} ${stderr}`);
});

test('pages of the program are unmapped, and come back when they are used', () => {
  const program = `
    import { readFileSync } from 'node:fs';
    import { nativeShims } from ${JSON.stringify(new URL('../../native-shims/index.js', import.meta.url).href)};
    const resident = () => Number(/RssFile:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    const shims = nativeShims();
    const text = () => new Intl.DateTimeFormat('de', { dateStyle: 'full', timeZone: 'UTC' }).format(0);
    const [first, before] = [text(), resident()];
    shims.releaseProgramPages();
    console.log(before - resident(), first === text());
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  const [kilobytes, works] = stdout.trim().split(' ');
  assert.ok(Number(kilobytes) > 10_000 && works === 'true', `${stdout} ${stderr}`);
});

const runScript = (folder: string, environment: Record<string, string> = {}) =>
  spawnSync(process.execPath, [join(folder, 'scripts/build-native.mjs')], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });

describe('building and loading', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-native-'));
  mkdirSync(join(folder, 'native-shims'));
  for (const file of ['scripts/build-native.mjs', 'native-shims/native-shims.c', 'native-shims/node-api.h'])
    cpSync(join(root, file), join(folder, file));
  for (const file of ['index.js', 'load-binary.js'])
    cpSync(join(root, 'build/native-shims', file), join(folder, 'build/native-shims', file));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

  const load = (): string =>
    spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { nativeShims } from ${JSON.stringify(join(folder, 'build/native-shims/index.js'))};
         try { console.log(typeof nativeShims().openSocket(16)); } catch (error) { console.log(error.message); }`,
      ],
      { encoding: 'utf8' },
    ).stdout;

  test('without the binary, loading says how to build it', () => {
    assert.match(load(), /^native-shims\.node is missing\. Build it with: node scripts\/build-native\.mjs/);
  });

  test('without a compiler, building names the packages', () => {
    const { status, stderr } = runScript(folder, { CC: '/nowhere/cc' });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^build-native: no C compiler \(tried \/nowhere\/cc\).*apt-get install gcc libc6-dev/,
    );
  });

  test('a compiler is all it takes; a second time nothing is done; then it loads', () => {
    const first = runScript(folder);
    assert.deepEqual([first.status, first.stderr], [0, '']);
    assert.match(first.stdout, /dist\/native-shims\.node built with/);
    assert.ok(existsSync(join(folder, 'dist/netlink.node')));
    const built = statSync(join(folder, 'dist/native-shims.node')).mtimeMs;
    const second = runScript(folder);
    assert.deepEqual([second.status, second.stdout, second.stderr], [0, '', '']);
    assert.equal(statSync(join(folder, 'dist/native-shims.node')).mtimeMs, built);
    assert.equal(load(), 'number\n');
  });
});
