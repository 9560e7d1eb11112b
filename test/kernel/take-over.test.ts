// real time: a sync is killed in its middle, and in virtual time it comes to its end before anything else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { DaemonProcess } from '../support/daemon-process.js';
import { momentOf } from '../support/eventually.js';
import { addressesOf, run, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// kube-proxy in mode ipvs has left 400 Services, a third of which are gone by now, and node ports; the first sync of kube-ipvs is
// killed at some moment, and the next process has to find the same world as if nothing had happened.

const count = 400;
const kept = 260;
const vip = (index: number): string => `10.96.${index >> 8}.${index & 255}`;
const pod = (index: number): string => `10.244.${index >> 8}.${index & 255}`;
const nodeAddress = '192.0.2.10';
const indexes = Array.from({ length: count }, (_, index) => index + 1);
const manifest = join(mkdtempSync(join(tmpdir(), 'take-over-')), 'world.json');

const foreign = ['-A -t 192.0.2.80:80 -s wlc', `-A -u ${nodeAddress}:5353 -s rr`];
const leftVirtualServers = indexes.flatMap((index) => [
  `-A -t ${vip(index)}:80 -s rr`,
  `-a -t ${vip(index)}:80 -r 10.250.0.1:80 -m -w 1`,
  `-A -t ${nodeAddress}:${30_000 + index} -s rr`,
  `-a -t ${nodeAddress}:${30_000 + index} -r 10.250.0.1:80 -m -w 1`,
]);
const expected = [
  ...foreign,
  ...indexes
    .slice(0, kept)
    .flatMap((index) =>
      [`${vip(index)}:80`, `${nodeAddress}:${30_000 + index}`].flatMap((at) => [
        `-A -t ${at} -s rr`,
        `-a -t ${at} -r ${pod(index)}:80 -m -w 1`,
      ]),
    ),
].toSorted();

const feed = (command: string, args: readonly string[], lines: readonly string[]): void =>
  void execFileSync(command, args, { input: lines.map((line) => `${line}\n`).join('') });

/** What kube-proxy leaves when it is stopped, and somebody else's. */
const leaveKubeProxys = (): void => {
  execFileSync('sh', ['-c', 'ipvsadm -C; nft flush ruleset; ip link delete kube-ipvs0 2>/dev/null || true']);
  run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'dummy');
  feed(
    'ip',
    ['-batch', '-'],
    indexes.map((index) => `address add ${vip(index)}/32 dev kube-ipvs0`),
  );
  feed('ipvsadm', ['-R'], [...foreign, ...leftVirtualServers]);
};

const start = (): DaemonProcess =>
  new DaemonProcess([`--source=${manifest}`, `--nodeport-addresses=${nodeAddress}/32`, '--once']);

const elements = (set: string): readonly string[] =>
  run('nft', 'list', 'set', 'ip', 'kube-ipvs', set).match(/elements = [^}]*/g) ?? [];

const assertTakenOver = (): void => {
  assert.deepEqual(savedTable(), expected);
  assert.equal(addressesOf('kube-ipvs0').length, kept);
  assert.deepEqual(elements('take-over'), []);
};

before(() => {
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'eth0', 'type', 'dummy');
  run('ip', 'address', 'add', `${nodeAddress}/24`, 'dev', 'eth0');
  run('ip', 'link', 'set', 'eth0', 'up');
  const items = indexes.slice(0, kept).flatMap((index) => [
    serviceObject(`s${index}`, {
      type: 'NodePort',
      clusterIP: vip(index),
      ports: [`http:80/TCP@${30_000 + index}`],
    }),
    sliceObject(`s${index}`, [ready(pod(index))], { ports: ['http:80/TCP'] }),
  ]);
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
});

test('undisturbed, everything of kube-proxy is taken over, and what is of others stays', async () => {
  leaveKubeProxys();
  await using daemon = start();
  assert.equal(await daemon.ended(), 0, daemon.log.slice(-2_000));
  assertTakenOver();
});

const hasTable = (): boolean => run('nft', 'list', 'tables').includes('table ip kube-ipvs');
const later = (milliseconds: number): (() => boolean) => {
  const end = performance.now() + milliseconds;
  return () => performance.now() >= end;
};
const ipvsBytes = (): number => readFileSync('/proc/net/ip_vs', 'utf8').length;

/** How far the first sync has come when it is killed. */
const moments: Readonly<Record<string, (before: number) => boolean>> = {
  'once the tables are there': () => hasTable(),
  'when the virtual servers are being edited': (bytes) => ipvsBytes() !== bytes,
  'when old virtual servers are being deleted': (bytes) => ipvsBytes() < bytes * 0.95,
};

for (const [moment, isReached] of Object.entries(moments))
  for (const delay of [0, 15])
    test(`killed ${moment} and ${delay} ms later, the next start ends in the same state`, async () => {
      leaveKubeProxys();
      const bytes = ipvsBytes();
      await using first = start();
      await momentOf(moment, () => isReached(bytes));
      await momentOf('a little later', later(delay));
      await first.stop('SIGKILL');
      await using second = start();
      assert.equal(await second.ended(), 0, second.log.slice(-2_000));
      assertTakenOver();
    });

test('killed right after the tables were made, they say that the take-over has not ended', async () => {
  leaveKubeProxys();
  await using first = start();
  await momentOf('the tables', hasTable);
  await first.stop('SIGKILL');
  assert.equal(elements('take-over').length, 1);
  assert.match(elements('take-over')[0] ?? '', /tcp, udp, sctp/);
});

test('after the take-over what comes on node ports and VIPs is of others', async () => {
  leaveKubeProxys();
  await using first = start();
  assert.equal(await first.ended(), 0);
  const others = [`-A -t ${nodeAddress}:31999 -s wlc`, `-A -t ${vip(1)}:9999 -s wlc`];
  feed('ipvsadm', ['-R'], others);
  await using second = start();
  assert.equal(await second.ended(), 0);
  assert.deepEqual(savedTable(), [...expected, ...others].toSorted());
});
