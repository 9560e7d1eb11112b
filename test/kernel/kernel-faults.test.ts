import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { Connection } from '../../src/netlink/connection.js';
import { bytesAt } from '../../src/netlink/codec/bytes.js';
import type { IpAddress } from '../../src/base/ip.js';
import { eventually } from '../support/daemon-process.js';
import { expectedKernelLines, putClusterState, type ClusterStateName } from '../support/cluster-states.js';
import { SocketFaults } from '../support/faulty-channel.js';
import { run, runLine } from '../support/lab-guest.js';
import { KernelLines } from '../support/kernel-lines.js';
import { startInProcessWith, type InProcessDaemon } from '../support/in-process-daemon.js';
import { RecordingLog, type LogLine } from '../support/recording-log.js';

// Things go wrong in the real kernel while the daemon is at work, some of them between its very messages. After each the kernel
// is as `render` says, what is others' is as it was, and each change of what is wrong was told once.

const faults = new SocketFaults();
const log = new RecordingLog();
let daemon: InProcessDaemon;
const kernel = new KernelLines();

const eth0 = ['eth0 192.0.2.10/24', 'eth0 2001:db8:1::10/64'];
const everywhere = ['lo 127.0.0.1/8', 'lo ::1/128', 'other0 198.51.100.1/32'];

const put = (world: ClusterStateName): void => putClusterState(daemon.wired.store, world);
const becomes = (world: ClusterStateName, more: readonly string[] = eth0): Promise<void> => {
  const lines = expectedKernelLines(world, [...everywhere, ...more]);
  return eventually(async () => assert.deepEqual(await ours(), lines));
};
/** A virtual server of somebody else is among what the kernel holds. */
const foreignServer = 'FWM 77 IPv4';
const ours = async (): Promise<readonly string[]> =>
  (await kernel.lines()).filter((line) => !line.startsWith(foreignServer));

const foreign = (): string =>
  [
    ...runLine('ipvsadm -Sn')
      .split('\n')
      .filter((line) => line.includes('-f 77')),
    run('sh', '-c', 'ip -o address show dev other0 | grep 198.51.100.1/32'),
    runLine('nft list table inet others'),
  ].join('\n');

const batch = (name: string, lines: readonly string[]): string => {
  const file = join(mkdtempSync(join(tmpdir(), 'troubles-')), name);
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  return file;
};

let reportedLines = 0;
/** What was said since the last call, but for what is said of every sync. */
const newLogLines = (): readonly string[] => {
  const lines = log.lines.slice(reportedLines).filter(isReported);
  reportedLines = log.lines.length;
  return lines.map((line) => `${line.level} ${nameOf(line)}`);
};
const nameOf = ({ fields: { event }, message }: LogLine): string =>
  typeof event === 'string' ? event : message;
const isReported = (line: LogLine): boolean =>
  line.level !== 'debug' && !['synced', 'repaired', 'retried', 'drained'].includes(nameOf(line));

before(async () => {
  for (const line of [
    'ip link set lo up',
    'ip link add eth0 type dummy',
    'ip link set eth0 up',
    'ip address add 192.0.2.10/24 dev eth0',
    'ip address add 2001:db8:1::10/64 dev eth0 nodad',
    'ip link add other0 type dummy',
    'ip address add 198.51.100.1/32 dev other0',
    'ip netns add elsewhere',
    'ipvsadm -A -f 77 -s sh',
    'ipvsadm -a -f 77 -r 10.7.0.2:0 -g -w 3',
  ])
    runLine(line);
  run('nft', 'add table inet others; add set inet others kept { type ipv4_addr; elements = { 10.96.0.1 } }');
  daemon = await startInProcessWith(
    {
      connect: (protocol) => Connection.open(protocol, { channel: () => faults.channel(protocol) }),
      log,
    },
    '--ipvs-sync-period=1h',
  );
  void daemon.wired.syncLoop.start();
  put('full');
  await becomes('full');
});

let others = '';
beforeEach(() => {
  others = foreign();
  newLogLines();
});

/** Does it once, at the first such moment. */
const once = (kind: string, when: 'sending' | 'sent' | 'received', act: () => void): void => {
  faults.meanwhile = (asked, moment) => {
    if (asked !== kind || moment !== when) return;
    faults.meanwhile = () => {};
    act();
  };
};

after(async () => {
  await daemon[Symbol.asyncDispose]();
  kernel[Symbol.dispose]();
});

/** Its address is that of another interface. */
const notServed = 'warn service-problem';
const device = 'info dummy-interface-created';

for (const when of ['sending', 'sent'] as const)
  test(`kube-ipvs0 is deleted just as addresses are bound (${when})`, async () => {
    put('empty');
    await becomes('empty');
    newLogLines();
    once('route 20', when, () => void runLine('ip link delete kube-ipvs0'));
    put('full');
    await becomes('full');
    assert.deepEqual(newLogLines(), [device]);
    assert.equal(foreign(), others);
  });

for (const when of ['sending', 'sent'] as const)
  test(`kube-ipvs0 is set down and up as addresses are bound (${when})`, async () => {
    put('empty');
    await becomes('empty');
    newLogLines();
    once('route 20', when, () => {
      runLine('ip link set kube-ipvs0 up');
      runLine('ip link set kube-ipvs0 down');
    });
    put('full');
    await becomes('full');
    assert.deepEqual(newLogLines(), []);
    assert.equal(foreign(), others);
  });

test('kube-ipvs0 gets another name as addresses are bound: there is another one, and what was bound goes with the old one', async () => {
  put('empty');
  await becomes('empty');
  newLogLines();
  once('route 20', 'sent', () => void runLine('ip link set kube-ipvs0 name kept-aside'));
  put('full');
  await eventually(() => {
    const links = runLine('ip link show');
    assert.match(links, /kept-aside/);
    assert.match(links, /kube-ipvs0/);
  });
  runLine('ip link delete kept-aside');
  await becomes('full');
  assert.deepEqual(
    newLogLines().filter((line) => line !== notServed),
    [device],
  );
  assert.equal(foreign(), others);
});

test('kube-ipvs0 is moved to another network namespace: there is another one here, that one is left alone', async () => {
  runLine('ip link set kube-ipvs0 netns elsewhere');
  await becomes('full');
  // News of addresses that it had may come when there is another one already.
  assert.deepEqual(
    newLogLines().filter((line) => line !== notServed),
    [device],
  );
  assert.match(runLine('ip netns exec elsewhere ip link show'), /kube-ipvs0/);
  assert.equal(foreign(), others);
});

test('the interface of the node is moved to another network namespace and back: node ports go with it', async () => {
  runLine('ip link set eth0 netns elsewhere');
  await becomes('full', []);
  runLine('ip netns exec elsewhere ip link set eth0 netns 1');
  runLine('ip link set eth0 up');
  runLine('ip address add 192.0.2.10/24 dev eth0');
  runLine('ip address add 2001:db8:1::10/64 dev eth0 nodad');
  await becomes('full');
  assert.deepEqual(
    newLogLines().filter((line) => !line.startsWith('info ')),
    [],
  );
  assert.equal(foreign(), others);
});

test('an interface that has a VIP comes and is removed as a whole', async () => {
  runLine('ip link add vip0 type dummy');
  runLine('ip address add 203.0.113.12/32 dev vip0');
  await becomes('full', [...eth0, 'vip0 203.0.113.12/32']);
  runLine('ip link delete vip0');
  await becomes('full');
  assert.deepEqual(
    newLogLines().filter((line) => !line.startsWith('info ')),
    [notServed],
  );
});

test('more link and address events than the kernel has room for: all is read again, and right', async () => {
  const flood = Array.from({ length: 12_000 }, (_, index) => {
    const address = `10.9.${(index >> 8) & 255}.${index & 255}/32 dev other0`;
    return [`address add ${address}`, `address delete ${address}`];
  }).flat();
  const file = batch('flood', [...flood, 'address delete 10.96.0.1/32 dev kube-ipvs0']);
  // The event loop stands still while a program runs.
  runLine(`ip -batch ${file}`);
  await becomes('full');
  assert.deepEqual(newLogLines(), ['warn address-events-lost']);
  assert.equal(foreign(), others);
  runLine('ip address delete 10.96.0.2/32 dev kube-ipvs0');
  await becomes('full');
  assert.deepEqual(newLogLines(), []);
});

test('more packet rule events than the kernel has room for: ours are read again, and right', async () => {
  run('nft', 'add chain inet others busy');
  const rules = Array.from(
    { length: 4_000 },
    (_, index) => `add rule inet others busy ip saddr 10.9.0.${index & 255} drop`,
  );
  const file = batch('flood', [...rules, 'flush chain inet others busy']);
  for (let round = 0; round < 4; round += 1) runLine(`nft -f ${file}`);
  run('nft', 'delete element ip kube-ipvs vips { 10.96.0.1 }; delete chain inet others busy');
  await becomes('full');
  assert.deepEqual(newLogLines(), ['warn kernel-drifted']);
  assert.equal(foreign(), others);
});

test('addresses change each time while they are dumped: the dump begins anew, a bounded number of times', async () => {
  // Of no interest to any Service.
  const many = Array.from({ length: 1_500 }, (_, index) => `127.8.${index >> 8}.${index & 255}/32 dev lo`);
  runLine(
    `ip -batch ${batch(
      'many',
      many.map((each) => `address add ${each}`),
    )}`,
  );
  await becomes('full');
  newLogLines();
  const loopback = (await kernel.route.link('lo')) ?? assert.fail();
  const address = '127.7.7.7' as IpAddress;
  let dumps = 0;
  let interruptions = 5;
  let isFirstPart = false;
  let isThere = false;
  faults.meanwhile = (kind, when) => {
    if (kind !== 'route 22 dump') return;
    if (when === 'sent') {
      dumps += 1;
      isFirstPart = true;
    }
    if (when !== 'received' || interruptions === 0 || !isFirstPart) return;
    isFirstPart = false;
    interruptions -= 1;
    // Done before it gives a promise.
    void kernel.route.apply(loopback.index, [
      { kind: isThere ? 'unbind-address' : 'bind-address', address, binding: 'address' },
    ]);
    isThere = !isThere;
  };
  daemon.wired.syncLoop.rereadAddresses();
  await eventually(() => assert.equal(interruptions, 0));
  assert.ok(dumps >= 5, `${dumps} dumps`);
  assert.deepEqual(newLogLines(), []);
  // Always: it is given up for now, told once, and tried again.
  interruptions = Number.POSITIVE_INFINITY;
  dumps = 0;
  daemon.wired.syncLoop.rereadAddresses();
  await eventually(() => assert.ok(dumps > 40, `${dumps} dumps`));
  faults.meanwhile = () => {};
  const said: string[] = [];
  await eventually(() => {
    said.push(...newLogLines());
    assert.equal(said.at(-1), 'info address-read-recovered');
  });
  assert.deepEqual(said, ['error address-read-failed', 'info address-read-recovered']);
  await becomes('full');
  assert.equal(foreign(), others);
});

test('a virtual server whose real servers cannot be read, whatever is tried, costs itself alone', async () => {
  const poisoned = '10.96.0.5';
  faults.always = (kind, { view, bodyOffset, bodyLength }) =>
    kind === 'ipvs 8 dump' &&
    Buffer.from(bytesAt(view, bodyOffset, bodyLength)).includes(Buffer.from([10, 96, 0, 5]))
      ? 12
      : undefined;
  // As after any trouble, all of IPVS is read again.
  daemon.wired.syncLoop.ipvsChanged();
  put('changed');
  const but = (lines: readonly string[]): readonly string[] =>
    lines.filter((line) => !line.includes(`${poisoned}:`));
  const wanted = expectedKernelLines('changed', [...everywhere, ...eth0]);
  await eventually(async () => assert.deepEqual(but(await ours()), but(wanted)));
  await eventually(() => assert.equal(daemon.wired.reconciler.refused, 1));
  const before = newLogLines();
  assert.equal(
    before.filter((line) => line.startsWith('warn operation-refused')).length,
    1,
    before.join('\n'),
  );
  await eventually(() => assert.ok((daemon.wired.reconciler.nextRetry ?? 0) > 400));
  assert.deepEqual(newLogLines(), []);
  faults.always = () => undefined;
  await becomes('changed');
  await eventually(() => assert.deepEqual(newLogLines(), ['info operation-succeeded-after-failures']));
  assert.equal(foreign(), others);
});
