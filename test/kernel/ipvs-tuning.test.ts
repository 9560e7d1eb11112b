import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAtLeast, parseRelease } from '../../src/kernel/kernel-version.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { writeKubeIpvsConfig } from '../support/kube-ipvs-config.js';
import { runLine } from '../support/lab-guest.js';
import { serviceObject } from '../support/objects.js';
import { main } from '../support/program.js';

// The settings of IPVS that only some kernels have: what this kernel has is set and kept, and of the rest a notice tells.

const folder = mkdtempSync(join(tmpdir(), 'tuning-'));
const manifest = join(folder, 'world.json');
const config = join(folder, 'own.yaml');
const items = [serviceObject('a', { clusterIP: '10.96.0.1' })];
writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

const version = parseRelease(release());
const settings = { est_cpulist: '0', est_nice: '7', conn_lfactor: '-6', svc_lfactor: '2' } as const;
const since = { est_cpulist: [6, 2], est_nice: [6, 2], conn_lfactor: [7, 1], svc_lfactor: [7, 1] } as const;
type Setting = keyof typeof settings;
const isSetting = (name: string): name is Setting => name in settings;
const names = Object.keys(settings).filter(isSetting);
const fileOf = (name: string): string => `/proc/sys/net/ipv4/vs/${name}`;
const valueOf = (name: string): string => readFileSync(fileOf(name), 'utf8').trim();

/** The settings that this kernel should have. */
const present = names.filter(
  (name) => version !== undefined && isAtLeast(version, since[name][0], since[name][1]),
);
const missing = names.filter((name) => !present.includes(name));

test('this kernel has the settings that the table of versions says', () => {
  assert.deepEqual(
    names.filter((name) => existsSync(fileOf(name))),
    present,
  );
});

test('the settings that the kernel has are set and kept, and one notice for each other names the version that has it', async () => {
  writeKubeIpvsConfig(
    config,
    'kernel: {estimatorCpuList: "0", estimatorNice: 7, connectionLoadFactor: -6, serviceLoadFactor: 2}',
  );
  await using daemon = new DaemonProcess([
    `--source=${manifest}`,
    `--config=${config}`,
    '--ipvs-sync-period=5s',
  ]);
  await eventually(() => assert.match(daemon.log, /"event":"synced"/));
  for (const name of present) assert.equal(valueOf(name), settings[name], name);
  const notices = daemon.log.split('\n').filter((line) => line.includes('"event":"kernel-setting-not-set"'));
  assert.deepEqual(
    notices.map((line) => /net\.ipv4\.vs\.(\w+) .*needs Linux (\d+)\.(\d+) or later/.exec(line)?.slice(1)),
    missing.map((name) => [name, ...since[name].map(String)]),
  );
  const report = spawnSync(process.execPath, [main, 'doctor', '--only=ipvs-tuning', `--config=${config}`], {
    encoding: 'utf8',
  });
  const found = report.stdout.replaceAll(/\s+/g, ' ');
  for (const name of missing) assert.ok(found.includes(`net.ipv4.vs.${name} (since`), found);
  if (missing.length === 0)
    assert.match(found, /conn_lfactor -6, net\.ipv4\.vs\.svc_lfactor 2, ip_vs\.conn_tab_bits 12/);
  const [changed] = present.slice(-1);
  if (changed !== undefined) {
    runLine(`sysctl -qw net.ipv4.vs.${changed}=0`);
    await eventually(() => assert.equal(valueOf(changed), settings[changed]));
    assert.match(daemon.log, /"event":"kernel-setting-restored"/);
  }
  assert.equal(await daemon.stop(), 0);
});
