// real time: Debian’s kernel has no virtual time.
// lab: -k modular
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// The lab's own kernel has IPVS built in; this one has it as a module.

const source = join(mkdtempSync(join(tmpdir(), 'module-')), 'world.json');
const items = [
  serviceObject('a', { clusterIP: '10.96.0.1' }),
  sliceObject('a', [ready('10.1.0.1'), ready('10.1.0.2')]),
  serviceObject('b', { clusterIP: '10.96.0.2', sessionAffinity: 'ClientIP' }),
  sliceObject('b', [ready('10.1.0.3')]),
];
writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

const whole = [
  '-A -t 10.96.0.1:80 -s rr',
  '-A -t 10.96.0.2:80 -s rr -p 10800',
  '-a -t 10.96.0.1:80 -r 10.1.0.1:80 -m -w 1',
  '-a -t 10.96.0.1:80 -r 10.1.0.2:80 -m -w 1',
  '-a -t 10.96.0.2:80 -r 10.1.0.3:80 -m -w 1',
];

const loader = '/proc/sys/kernel/modprobe';
const modprobe = readFileSync(loader, 'utf8').trim();

/** Whether the kernel may load modules by itself. */
const setLoading = (may: boolean): void => writeFileSync(loader, may ? modprobe : '/bin/false');

/** Syncs so far, those that failed included. */
const triesOf = async (): Promise<number> => {
  const page = await (
    await fetch('http://127.0.0.1:10249/metrics', { headers: { connection: 'close' } })
  ).text();
  return Number(/^kubeproxy_sync_proxy_rules_duration_seconds_count\S* (\d+)$/m.exec(page)?.[1]);
};

const isLoaded = (): boolean => readFileSync('/proc/modules', 'utf8').includes('ip_vs ');

/**
 * Unloads IPVS with everything that needs it: nothing of its table, its connections and its settings is left. The kernel refuses
 * as long as a virtual server uses a module, and the daemon may program one between the two commands.
 */
const unload = (): Promise<void> =>
  eventually(() => {
    runLine('ipvsadm -C');
    const needing = readFileSync('/proc/modules', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '')
      .filter((name) => name.startsWith('ip_vs_'));
    run('rmmod', ...needing, 'ip_vs');
  });

const setting = (name: string): string => readFileSync(`/proc/sys/net/ipv4/vs/${name}`, 'utf8').trim();

/** Of the log's lines about IPVS and syncs that broke, each as often as it came. */
const told = (log: string): readonly string[] =>
  log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): { level: string; msg: string; error?: string } => JSON.parse(line))
    .filter(({ msg }) => /loaded anew|a sync failed|come to their end/.test(msg))
    .map(({ level, msg, error }) => `${level} ${msg}${error === undefined ? '' : `: ${error}`}`);

const anew = 'warn IPVS was loaded anew: its settings and its table are made again';

test('IPVS that is unloaded under the daemon is loaded, set up and filled again without waiting for a resync', async () => {
  await using daemon = new DaemonProcess([
    `--source=${source}`,
    '--ipvs-sync-period=1h',
    '--ipvs-tcp-timeout=15m',
  ]);
  await eventually(() => assert.deepEqual(savedTable(), whole));
  for (let round = 1; round <= 3; round += 1) {
    await unload();
    await eventually(() => assert.equal(told(daemon.log).length, round));
    await eventually(() => assert.deepEqual(savedTable(), whole));
    assert.equal(setting('conntrack'), '1');
    assert.equal(setting('expire_nodest_conn'), '1');
    assert.match(runLine('ipvsadm -L --timeout'), /: 900 /);
  }
  assert.deepEqual(told(daemon.log), [anew, anew, anew]);
  assert.equal(await daemon.stop(), 0);
});

afterEach(() => void runLine('ipvsadm -C'));

test('while IPVS cannot be loaded the daemon says so once; when somebody loads it, it is filled again', async () => {
  await using daemon = new DaemonProcess([`--source=${source}`, '--ipvs-sync-period=1s']);
  await eventually(() => assert.match(daemon.log, /"msg":"synced"/));
  assert.deepEqual(savedTable(), whole);
  setLoading(false);
  await unload();
  await eventually(() => assert.equal(told(daemon.log).length, 1));
  // Several tries later it is still no news.
  const tries = await triesOf();
  await eventually(async () => assert.ok((await triesOf()) >= tries + 3));
  assert.equal(told(daemon.log).length, 1);
  assert.equal(isLoaded(), false);
  setLoading(true);
  runLine('modprobe ip_vs');
  await eventually(() => assert.deepEqual(savedTable(), whole));
  await eventually(() => assert.equal(told(daemon.log).length, 3));
  const [lost = '', ...found] = told(daemon.log);
  assert.match(lost, /^error a sync failed and is tried again: IPVS was unloaded: .*modprobe ip_vs/);
  assert.deepEqual(found, [anew, 'info syncs come to their end again']);
  assert.equal(await daemon.stop(), 0);
});
