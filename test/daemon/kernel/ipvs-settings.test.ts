import assert from 'node:assert/strict';
import { test } from 'node:test';
import { absenceText, planKernelSettings } from '../../../src/daemon/kernel/kernel-settings.js';
import { type KernelParameter, type KernelParameterValue } from '../../../src/kernel/sysctl.js';
import { sysctlCommand } from '../../../src/base/sysctl-command.js';
import { kubeIpvsSettings } from '../../support/kube-ipvs-settings.js';

const names = {
  estimatorCpuList: 'net.ipv4.vs.est_cpulist',
  estimatorNice: 'net.ipv4.vs.est_nice',
  connectionLoadFactor: 'net.ipv4.vs.conn_lfactor',
  serviceLoadFactor: 'net.ipv4.vs.svc_lfactor',
} as const;

/** The settings of kernels, as /proc/sys/net/ipv4/vs has them. */
const kernels: Readonly<Record<string, readonly string[]>> = {
  '5.15.0-91-generic': [],
  '6.1.0-27-amd64': [],
  '6.2.0': [names.estimatorCpuList, names.estimatorNice],
  '6.12.48': [names.estimatorCpuList, names.estimatorNice],
  '7.0.3': [names.estimatorCpuList, names.estimatorNice],
  '7.1.0': Object.values(names),
  '7.2.0': Object.values(names),
};

const kernelDefaults: Readonly<Record<string, KernelParameterValue>> = {
  [names.estimatorCpuList]: { text: '0-15' },
  [names.estimatorNice]: 0,
  [names.connectionLoadFactor]: -4,
  [names.serviceLoadFactor]: -3,
};

const factsOf = (release: string, changes: Readonly<Record<string, KernelParameterValue>> = {}) => ({
  release,
  cpus: 4,
  read: ({ name }: KernelParameter): KernelParameterValue => {
    if (!name.startsWith('net.ipv4.vs.')) return 'absent';
    const isTuning = Object.values(names).some((each) => each === name);
    if (isTuning && !(kernels[release] ?? []).includes(name)) return 'absent';
    return changes[name] ?? kernelDefaults[name] ?? 'absent';
  },
});

const all =
  'kernel: {estimatorCpuList: "1,0", estimatorNice: 5, connectionLoadFactor: -5, serviceLoadFactor: 0}';
const isTuning = ({ setting }: { readonly setting: KernelParameter }): boolean =>
  Object.values(names).some((name) => name === setting.name);

for (const [release, present] of Object.entries(kernels))
  test(`Linux ${release} gets the settings that it has, and names the version that others need`, () => {
    const { changes, absent } = planKernelSettings(kubeIpvsSettings(all), factsOf(release));
    const values = { est_cpulist: '0-1', est_nice: 5, conn_lfactor: -5, svc_lfactor: 0 };
    const expected = Object.entries(values).map(([name, value]) => [`net.ipv4.vs.${name}`, value]);
    assert.deepEqual(
      changes.filter(isTuning).map(({ setting, value }) => [setting.name, value]),
      expected.filter(([name]) => present.includes(String(name))),
    );
    const notices = absent.filter(isTuning).map(absenceText);
    assert.equal(notices.length, 4 - present.length);
    for (const notice of notices)
      assert.match(
        notice,
        /^cannot set net\.ipv4\.vs\.(est_\w+ .* needs Linux 6\.2 or later|\w+_lfactor .* needs Linux 7\.1 or later);.*To do without it: kernel\./,
      );
    assert.ok(
      changes.filter(isTuning).every(({ kept, required }) => kept === true && required === undefined),
    );
  });

test('without configuration, and where the values are in force, nothing is changed', () => {
  assert.deepEqual(planKernelSettings(kubeIpvsSettings(''), factsOf('7.2.0')).changes.filter(isTuning), []);
  const inForce = {
    [names.estimatorCpuList]: { text: '0-1' },
    [names.estimatorNice]: 5,
    [names.connectionLoadFactor]: -5,
    [names.serviceLoadFactor]: 0,
  };
  assert.deepEqual(
    planKernelSettings(kubeIpvsSettings(all), factsOf('7.2.0', inForce)).changes.filter(isTuning),
    [],
  );
});

test('the synchronization of connections has its settings, and leaves two of them to the kernel', () => {
  const names =
    'sync_threshold sync_refresh_period sync_retries sync_persist_mode sync_ports sync_qlen_max sync_sock_size backup_only';
  const present = Object.fromEntries(
    names
      .split(' ')
      .map((name) => [`net.ipv4.vs.${name}`, name === 'sync_threshold' ? { text: '3 50' } : 99]),
  );
  const changesOf = (fields: string) =>
    planKernelSettings(kubeIpvsSettings(fields), factsOf('6.1.0-27-amd64', present))
      .changes.filter(({ setting }) => setting.name.startsWith('net.ipv4.vs.'))
      .map(({ setting, value, previous }) => `${setting.name.slice(12)} ${previous} → ${value}`);
  assert.deepEqual(changesOf('connectionSync: {interface: eth1, refreshPeriod: 500ms}'), [
    'sync_threshold 3 50 → 3 0',
    'sync_refresh_period 99 → 1',
    'sync_retries 99 → 0',
    'sync_persist_mode 99 → 0',
    'sync_ports 99 → 1',
    'backup_only 99 → 0',
  ]);
  const more =
    'affinityOnly: true, packetInterval: 50, queueLength: 8192, socketBufferSize: 65536, threads: 4';
  assert.deepEqual(changesOf(`connectionSync: {interface: eth1, ${more}}`), [
    'sync_refresh_period 99 → 10',
    'sync_retries 99 → 0',
    'sync_persist_mode 99 → 1',
    'sync_ports 99 → 4',
    'sync_qlen_max 99 → 8192',
    'sync_sock_size 99 → 65536',
    'backup_only 99 → 0',
  ]);
});

test('the command that sets a value with spaces has quotes', () => {
  assert.equal(sysctlCommand('a.b', 1), 'sysctl -w a.b=1');
  assert.equal(sysctlCommand('a.b', '3 50'), 'sysctl -w "a.b=3 50"');
});
