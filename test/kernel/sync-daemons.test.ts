import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { writeKubeIpvsConfig } from '../support/kube-ipvs-config.js';
import { runLine } from '../support/lab-guest.js';
import { serviceObject } from '../support/objects.js';
import { main } from '../support/program.js';

// The kernel's daemons that synchronize connections, as ipvsadm lists them.

const folder = mkdtempSync(join(tmpdir(), 'sync-'));
const manifest = join(folder, 'world.json');
const config = join(folder, 'own.yaml');
const items = [serviceObject('a', { clusterIP: '10.96.0.1' })];
writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

const configure = (...fields: readonly string[]): void => writeKubeIpvsConfig(config, ...fields);

const start = (): DaemonProcess =>
  new DaemonProcess([
    `--source=${manifest}`,
    `--config=${config}`,
    '--ipvs-sync-period=5s',
    '--ipvs-min-sync-period=0s',
  ]);

const cli = (...args: readonly string[]) =>
  spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });

/** Master and backup as `ROLE INTERFACE GROUP ADDRESS PORT TTL`. */
const daemons = (): readonly string[] =>
  runLine('ipvsadm -L --daemon')
    .split('\n')
    .flatMap((line) => {
      const match =
        /^(\w+) sync daemon \(mcast=([^,]+), syncid=(\d+), .*group=([^,]+), port=(\d+), ttl=(\d+)\)/.exec(
          line,
        );
      return match === null ? [] : [match.slice(1).join(' ')];
    });

const both = (name: string, group: number, address = '239.192.73.80', rest = '8848 1'): readonly string[] =>
  ['master', 'backup'].map((role) => `${role} ${name} ${group} ${address} ${rest}`);

/** The threads of the kernel's daemons: a daemon that was started again has others. */
const threads = (): readonly string[] =>
  runLine('ps -e -o pid= -o comm=')
    .split('\n')
    .filter((line) => line.includes('ipvs-m:') || line.includes('ipvs-b:'))
    .map((line) => line.trim())
    .toSorted();

const addInterface = (name: string): void => {
  runLine(`ip link add ${name} type dummy`);
  runLine(`ip address add 198.18.${name.slice(-1)}.1/24 dev ${name}`);
  runLine(`ip -6 address add 2001:db8:${name.slice(-1)}::1/64 dev ${name} nodad`);
  runLine(`ip link set ${name} up`);
};

const eventsIn = (log: string, event: string): number => log.split(`"event":"${event}"`).length - 1;

const metric = async (name: string): Promise<number> => {
  const page = await fetch('http://127.0.0.1:10249/metrics', { headers: { connection: 'close' } });
  const line = (await page.text()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
};

const sysctl = (name: string): string =>
  readFileSync(`/proc/sys/net/ipv4/vs/${name}`, 'utf8').trim().replaceAll(/\s+/g, ' ');

afterEach(() => {
  for (const line of daemons()) runLine(`ipvsadm --stop-daemon ${line.split(' ')[0]}`);
  for (const name of ['sync1', 'sync2']) spawnSync('ip', ['link', 'delete', name]);
});

test('a missing interface is told once and counted; when it comes, both daemons start, and stay until nothing asks for them', async () => {
  configure('connectionSync: {interface: sync1, group: 7, refreshPeriod: 20s, retries: 1}');
  await using daemon = start();
  await eventually(async () =>
    assert.ok((await metric('kube_ipvs_connection_sync_failures_total')) >= 6, daemon.log),
  );
  assert.equal(eventsIn(daemon.log, 'connection-sync-failed'), 2);
  assert.match(
    daemon.log,
    /start the synchronization master on sync1, group 7, 239\.192\.73\.80:8848: ENODEV/,
  );
  assert.match(cli('status').stdout, /! +connection sync +master NOT running: .*there is no such interface/);
  assert.deepEqual(daemons(), []);
  addInterface('sync1');
  await eventually(() => assert.deepEqual(daemons(), both('sync1', 7), daemon.log));
  assert.deepEqual(
    ['sync_threshold', 'sync_refresh_period', 'sync_retries', 'sync_ports', 'backup_only'].map(sysctl),
    ['3 0', '20', '1', '1', '0'],
  );
  assert.match(
    cli('status').stdout,
    /connection sync +master on sync1, group 7\n +backup on sync1, group 7\n/,
  );
  assert.match(
    cli('dump', '--sync-daemons').stdout,
    /^master sync daemon \(mcast=sync1, syncid=7, group=239\.192/,
  );
  const before = threads();
  assert.equal(before.length, 2);
  assert.equal(await daemon.stop(), 0);
  await using next = start();
  await eventually(async () =>
    assert.ok((await metric('kube_ipvs_resyncs_total{source="file"}')) >= 3, next.log),
  );
  assert.deepEqual(threads(), before);
  assert.equal(eventsIn(next.log, 'connection-sync-started'), 0);
  configure();
  await eventually(() => assert.deepEqual(daemons(), [], next.log));
  assert.equal(await next.stop(), 0);
});

test('what another program stops is started again, and so are daemons whose interface was made anew', async () => {
  addInterface('sync1');
  configure('connectionSync: {interface: sync1, group: 3, ipFamily: IPv6, threads: 2, port: 9000}');
  const wanted = both('sync1', 3, 'ff15::4950', '9000 1');
  await using daemon = start();
  await eventually(() => assert.deepEqual(daemons(), wanted, daemon.log));
  assert.equal(threads().length, 4);
  runLine('ipvsadm --stop-daemon backup');
  await eventually(() => assert.deepEqual(daemons(), wanted));
  await eventually(async () =>
    assert.equal(await metric('kube_ipvs_drift_repaired_total{object="sync-daemon",drift="missing"}'), 1),
  );
  const before = threads();
  runLine('ip link delete sync1');
  addInterface('sync1');
  await eventually(() => {
    assert.deepEqual(daemons(), wanted);
    assert.equal(threads().length, 4);
    assert.ok(before.every((thread) => !threads().includes(thread)));
  });
  runLine('sysctl -qw net.ipv4.vs.sync_refresh_period=77');
  await eventually(() => assert.equal(sysctl('sync_refresh_period'), '10'));
  configure('connectionSync: {interface: sync1, group: 3, ipFamily: IPv6, threads: 1, port: 9000}');
  await eventually(() => assert.equal(threads().length, 2, daemon.log));
  assert.deepEqual(daemons(), wanted);
  assert.equal(await daemon.stop(), 0);
});

test('a daemon of another program is told once and never touched', async () => {
  for (const name of ['sync1', 'sync2']) addInterface(name);
  runLine('ipvsadm --start-daemon master --mcast-interface sync2 --syncid 51');
  const foreign = 'master sync2 51 224.0.0.81 8848 1';
  const [master, backup] = both('sync1', 7);
  configure('connectionSync: {interface: sync1, group: 7}');
  await using daemon = start();
  await eventually(() => assert.deepEqual(daemons(), [foreign, backup], daemon.log));
  assert.match(
    daemon.log,
    /"role":"master","problem":"another program runs the daemon \(master on sync2, group 51/,
  );
  assert.match(
    cli('doctor', '--only=connection-sync', `--config=${config}`).stdout.replaceAll(/\s+/g, ' '),
    /another program runs master on sync2, group 51/,
  );
  runLine('ipvsadm --stop-daemon master');
  await eventually(() => assert.deepEqual(daemons(), [master, backup], daemon.log));
  assert.equal(eventsIn(daemon.log, 'connection-sync-failed'), 1);
  assert.equal(await daemon.stop(), 0);
});

test('cleanup stops the daemons of kube-ipvs, and leaves those of other programs', async () => {
  addInterface('sync1');
  configure('connectionSync: {interface: sync1, group: 7}');
  await using daemon = start();
  await eventually(() => assert.deepEqual(daemons(), both('sync1', 7), daemon.log));
  assert.equal(await daemon.stop(), 0);
  const plan = cli('cleanup', '--dry-run');
  assert.match(plan.stdout, /^would remove connection synchronization: master on sync1, group 7, 239/m);
  assert.equal(daemons().length, 2);
  const { status, stdout, stderr } = cli('cleanup');
  assert.equal(status, 0, stderr);
  assert.match(
    stdout,
    /^removed connection synchronization: backup on sync1, group 7, 239\.192\.73\.80:8848$/m,
  );
  assert.deepEqual(daemons(), []);
  runLine('ipvsadm --start-daemon backup --mcast-interface sync1 --syncid 51');
  assert.equal(cli('cleanup').status, 0);
  assert.equal(daemons().length, 1);
});
