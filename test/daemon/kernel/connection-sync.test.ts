import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChangeableSettings } from '../../../src/daemon/config/live-settings.js';
import { ConnectionSync } from '../../../src/daemon/kernel/connection-sync.js';
import { IpvsClient } from '../../../src/kernel/ipvs/client.js';
import type { SyncDaemon } from '../../../src/model/sync-daemon.js';
import { FakeKernel } from '../../support/fake-kernel/fake-kernel.js';
import { kubeIpvsSettings } from '../../support/kube-ipvs-settings.js';
import { ip } from '../../support/objects.js';
import { RecordingLog } from '../../support/recording-log.js';

const configured = (fields: string) => kubeIpvsSettings(`connectionSync: {${fields}}`);

const setUp = (fields: string) => {
  const kernel = new FakeKernel();
  const ipvs = IpvsClient.open(kernel.connect('generic'));
  const settings = new ChangeableSettings(configured(fields));
  const log = new RecordingLog();
  const drifts: string[] = [];
  const world = { now: 0, receivers: 1 };
  const connectionSync = new ConnectionSync({
    ipvs,
    settings,
    receivers: () => world.receivers,
    drift: { count: (object, kind) => void drifts.push(`${object} ${kind}`) },
    log,
    delays: { firstMilliseconds: 1_000, maximumMilliseconds: 60_000, random: () => 0.5 },
    now: () => world.now,
  });
  const running = (): readonly string[] =>
    kernel.ipvs.syncDaemons
      .daemons()
      .map((each) => `${each.role} ${each.interface} ${each.syncId} ${each.address} ${each.port}`);
  const changes = (): number =>
    kernel.received.filter(({ kind }) => /^generic (9|10)$|ipvs (9|10)$/.test(kind)).length;
  return { kernel, ipvs, settings, log, drifts, world, connectionSync, running, changes };
};

const bothOn = (name: string, group = 7) => [
  `master ${name} ${group} 239.192.73.80 8848`,
  `backup ${name} ${group} 239.192.73.80 8848`,
];
const eventsOf = (log: RecordingLog): readonly unknown[] => log.lines.map(({ fields }) => fields['event']);

test('both daemons start once; later checks change nothing', async () => {
  const { connectionSync, running, log, drifts, changes } = setUp('interface: eth0, group: 7');
  for (let round = 0; round < 3; round += 1) await connectionSync.check();
  assert.deepEqual(running(), bothOn('eth0'));
  assert.deepEqual(eventsOf(log), ['connection-sync-started', 'connection-sync-started']);
  assert.equal(changes(), 2);
  assert.deepEqual(drifts, []);
  assert.deepEqual(
    [...connectionSync.states.values()].map(({ status }) => status),
    ['running', 'running'],
  );
  assert.equal(connectionSync.retryDelay, undefined);
});

test('a missing interface is told once, counted, and tried again with growing delays until it is there', async () => {
  const { kernel, connectionSync, running, log, world } = setUp('interface: eth1');
  const delays: (number | undefined)[] = [];
  for (let round = 0; round < 8; round += 1) {
    await connectionSync.check();
    delays.push(connectionSync.retryDelay);
    world.now += connectionSync.retryDelay ?? 0;
  }
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  assert.equal(connectionSync.failedStarts, 16);
  assert.deepEqual(eventsOf(log), ['connection-sync-failed', 'connection-sync-failed']);
  assert.match(String(log.lines[0]?.fields['problem']), /master on eth1.*ENODEV, there is no such interface/);
  assert.deepEqual(running(), []);
  kernel.ipvs.syncDaemons.interfaces.add('eth1');
  await connectionSync.check();
  assert.deepEqual(running(), bothOn('eth1', 1));
  assert.equal(connectionSync.retryDelay, undefined);
});

test('a daemon that another program stopped starts again, and so do threads without their interface', async () => {
  const { ipvs, connectionSync, running, drifts, world, changes } = setUp('interface: eth0, group: 7');
  await connectionSync.check();
  await ipvs.stopSyncDaemon('master');
  await connectionSync.check();
  assert.deepEqual(running(), bothOn('eth0'));
  assert.deepEqual(drifts, ['sync-daemon missing']);
  world.receivers = 0;
  const before = changes();
  await connectionSync.check();
  assert.equal(changes() - before, 4);
  assert.deepEqual(drifts, ['sync-daemon missing', 'sync-daemon differs', 'sync-daemon differs']);
});

const keepalived: SyncDaemon = {
  role: 'backup',
  interface: 'eth0',
  syncId: 51,
  address: ip('224.0.0.81'),
  port: 8848,
  ttl: 1,
};

test('fewer threads than configured, which a restart does not change, are left alone', async () => {
  const { connectionSync, world, changes } = setUp('interface: eth0, threads: 4');
  await connectionSync.check();
  assert.equal(world.receivers, 1);
  const before = changes();
  for (let round = 0; round < 3; round += 1) await connectionSync.check();
  assert.equal(changes(), before);
});

test('another size of its buffer starts each daemon again', async () => {
  const { settings, connectionSync, changes, drifts } = setUp('interface: eth0');
  await connectionSync.check();
  const before = changes();
  settings.replace(configured('interface: eth0, socketBufferSize: 65536'));
  await connectionSync.checkIfDue();
  assert.equal(changes() - before, 4);
  await connectionSync.check();
  assert.equal(changes() - before, 4);
  assert.deepEqual(drifts, []);
});

test('a daemon of another program stays and is told once; the other role runs', async () => {
  const { ipvs, connectionSync, running, log } = setUp('interface: eth0, group: 7');
  await ipvs.startSyncDaemon(keepalived);
  for (let round = 0; round < 3; round += 1) await connectionSync.check();
  assert.deepEqual(running(), ['master eth0 7 239.192.73.80 8848', 'backup eth0 51 224.0.0.81 8848']);
  assert.deepEqual(eventsOf(log), ['connection-sync-started', 'connection-sync-failed']);
  assert.equal(connectionSync.states.get('backup')?.status, 'foreign');
  assert.ok(connectionSync.retryDelay !== undefined);
  await ipvs.stopSyncDaemon('backup');
  await connectionSync.check();
  assert.deepEqual(running(), bothOn('eth0'));
});

test('changed settings replace the daemons, and removed ones stop them; those of other programs stay', async () => {
  const { ipvs, kernel, settings, connectionSync, running, log, drifts } = setUp('interface: eth0, group: 7');
  await connectionSync.check();
  kernel.ipvs.syncDaemons.interfaces.add('eth1');
  settings.replace(configured('interface: eth1, group: 9'));
  await connectionSync.checkIfDue();
  assert.deepEqual(running(), bothOn('eth1', 9));
  assert.deepEqual(
    [...connectionSync.states.values()].map(({ daemon }) => daemon?.interface),
    ['eth1', 'eth1'],
  );
  settings.replace(kubeIpvsSettings(''));
  await connectionSync.checkIfDue();
  assert.deepEqual(running(), []);
  assert.deepEqual(eventsOf(log).slice(-2), ['connection-sync-stopped', 'connection-sync-stopped']);
  assert.deepEqual(drifts, []);
  await ipvs.startSyncDaemon(keepalived);
  connectionSync.invalidate();
  await connectionSync.checkIfDue();
  assert.deepEqual(running(), ['backup eth0 51 224.0.0.81 8848']);
  assert.equal(connectionSync.retryDelay, undefined);
});

test('daemons that an earlier process left are kept, and stopped if they are not configured any more', async () => {
  const first = setUp('interface: eth0, group: 7');
  await first.connectionSync.check();
  const { ipvs } = first;
  const parts = { ipvs, receivers: () => 1, drift: { count: () => {} }, log: first.log };
  const before = first.changes();
  await new ConnectionSync({ ...parts, settings: first.settings }).checkIfDue();
  assert.equal(first.changes(), before);
  await new ConnectionSync({ ...parts, settings: new ChangeableSettings(kubeIpvsSettings('')) }).checkIfDue();
  assert.deepEqual(first.running(), []);
});

test('without configuration and without daemons, resyncs ask the kernel nothing', async () => {
  const { kernel, ipvs, log } = setUp('interface: eth0');
  const settings = new ChangeableSettings(kubeIpvsSettings(''));
  const idle = new ConnectionSync({ ipvs, settings, receivers: () => 0, drift: { count: () => {} }, log });
  await idle.checkIfDue();
  const before = kernel.received.length;
  for (let round = 0; round < 3; round += 1) await idle.check();
  assert.equal(kernel.received.length, before);
});
