import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { loadSettings } from '../../../src/config/load-settings.js';
import { ChangeableSettings } from '../../../src/daemon/config/live-settings.js';
import { ConfigReloader } from '../../../src/daemon/config/config-reloader.js';
import { eventually } from '../../support/daemon-process.js';
import { RecordingLog } from '../../support/recording-log.js';

const folder = mkdtempSync(join(tmpdir(), 'reload-'));
after(() => rmSync(folder, { recursive: true }));

const header = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n';

interface Setup {
  readonly settings: ChangeableSettings;
  readonly reloader: ConfigReloader;
  readonly log: RecordingLog;
}

/** A reloader over real files, without a kernel; `refuse` is why the kernel can't be made ready. */
const setUp = (argv: readonly string[], refuse?: (scheduler: string) => string | undefined): Setup => {
  const load = () => loadSettings(parseFlags(argv));
  const settings = new ChangeableSettings(load());
  const log = new RecordingLog();
  const reloader = new ConfigReloader({
    settings,
    loadSettings: load,
    prepareKernel: async ({ scheduler }) => {
      const reason = refuse?.(scheduler);
      if (reason !== undefined) throw new Error(reason);
    },
    syncLoop: { changeSettings: (change) => change() },
    log,
  });
  return { settings, reloader, log };
};

/** The fields of the first line of an event. */
const fieldsAt = (log: RecordingLog, event: string): Readonly<Record<string, unknown>> => ({
  ...log.of(event)[0]?.fields,
});

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

test('what can change does, and is told with both values; listeners hear of it', async () => {
  const config = file('change.conf', `${header}ipvs: {scheduler: rr}\n`);
  const { settings, reloader, log } = setUp([`--config=${config}`, '-v=2']);
  const heard: string[] = [];
  settings.onChange((now, before) => heard.push(`${before.scheduler} ${now.scheduler}`));
  await reloader.check();
  assert.deepEqual(log.lines, [], 'at the first look everything is as it was read');
  writeFileSync(
    config,
    `${header}ipvs: {scheduler: lc, syncPeriod: 10s, excludeCIDRs: [10.0.0.0/8]}\nlogging: {verbosity: 5}\nclusterCIDR: 10.244.0.0/16\niptables: {syncPeriod: 9s}\n`,
  );
  await reloader.check();
  assert.deepEqual(heard, ['rr lc']);
  const { scheduler, syncPeriod, verbosity, clusterCidrs } = settings.now;
  assert.deepEqual(
    [scheduler, syncPeriod, verbosity, clusterCidrs.map(({ text }) => text)],
    ['lc', 10_000, 2, ['10.244.0.0/16']],
  );
  assert.deepEqual(
    log.at('warn').map(({ fields }) => fields),
    [
      {
        event: 'configuration-warning',
        warning: 'iptables.syncPeriod has no effect: only the iptables mode uses it',
      },
    ],
  );
  assert.deepEqual(fieldsAt(log, 'configuration-changed').changed, [
    'clusterCIDR: "" → "10.244.0.0/16"',
    'ipvs.excludeCIDRs: [] → ["10.0.0.0/8"]',
    'ipvs.scheduler: "rr" → "lc"',
    'ipvs.syncPeriod: "30s" → "10s"',
  ]);
});

test('what needs a restart is named in one line and stays; the rest changes', async () => {
  const config = file('fixed.conf', header);
  const { settings, reloader, log } = setUp([`--config=${config}`]);
  const name = settings.now.nodeName;
  await reloader.check();
  writeFileSync(
    config,
    `${header}hostnameOverride: other\nhealthzBindAddress: 0.0.0.0:1\nclientConnection: {kubeconfig: /k, qps: 50}\nfeatureGates: {AllowServiceExternalIPs: false}\n`,
  );
  await reloader.check();
  const { nodeName, kubeconfig, qps, externalIpsAllowed, configuration } = settings.now;
  assert.deepEqual([nodeName, kubeconfig, qps, externalIpsAllowed], [name, undefined, 50, false]);
  assert.equal(configuration.healthzBindAddress, '0.0.0.0:10256');
  assert.deepEqual(configuration.featureGates, { AllowServiceExternalIPs: false });
  assert.deepEqual(fieldsAt(log, 'configuration-needs-restart').fields, [
    'clientConnection.kubeconfig: "" → "/k"',
    'healthzBindAddress: "0.0.0.0:10256" → "0.0.0.0:1"',
    'hostnameOverride: "" → "other"',
  ]);
});

test('an invalid file changes nothing and is told once for each change of it', async () => {
  const config = file('invalid.conf', `${header}ipvs: {scheduler: lc}\n`);
  const { settings, reloader, log } = setUp([`--config=${config}`]);
  await reloader.check();
  const before = settings.now;
  writeFileSync(config, `${header}ipvs: {scheduler: sh, syncPeriod: soon}\noomScoreAdj: 5000\n`);
  await reloader.check();
  await reloader.check();
  assert.equal(settings.now, before);
  assert.equal(log.at('error').length, 1);
  assert.match(
    String(fieldsAt(log, 'configuration-rejected').problem),
    /invalid\.conf:4: ipvs\.syncPeriod must be a duration.*\n.*:5: oomScoreAdj must be/,
  );
  for (const text of ['', header.replace('ipvs', 'iptables')]) {
    writeFileSync(config, text);
    await reloader.check();
  }
  rmSync(config);
  await reloader.check();
  assert.equal(log.at('error').length, 4);
  assert.equal(settings.now, before);
});

test('what the kernel refuses changes nothing', async () => {
  const config = file('refused.conf', header);
  const { settings, reloader, log } = setUp([`--config=${config}`], (scheduler) =>
    scheduler === 'best' ? 'no such scheduler' : undefined,
  );
  await reloader.check();
  const before = settings.now;
  writeFileSync(config, `${header}ipvs: {scheduler: best}\n`);
  await reloader.check();
  assert.equal(settings.now, before);
  assert.equal(fieldsAt(log, 'configuration-rejected').problem, 'no such scheduler');
});

test('a file that is written, replaced or swapped as a ConfigMap volume is followed', async () => {
  const volume = join(folder, 'volume');
  const version = (name: string, scheduler: string): void => {
    mkdirSync(join(volume, name), { recursive: true });
    writeFileSync(join(volume, name, 'config.conf'), `${header}ipvs: {scheduler: ${scheduler}}\n`);
    symlinkSync(name, join(volume, '..data_tmp'));
    renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
  };
  version('..1', 'rr');
  const config = join(volume, 'config.conf');
  symlinkSync('..data/config.conf', config);
  const { settings, reloader } = setUp([`--config=${config}`]);
  await using _following = reloader.start();
  const becomes = (scheduler: string) =>
    eventually(() => assert.equal(settings.now.scheduler, scheduler), 3_000);
  version('..2', 'lc');
  await becomes('lc');
  rmSync(join(volume, '..1'), { recursive: true });
  version('..3', 'sh');
  await becomes('sh');
  rmSync(config);
  writeFileSync(config, `${header}ipvs: {scheduler: wlc}\n`);
  await becomes('wlc');
  writeFileSync(`${config}.next`, `${header}ipvs: {scheduler: dh}\n`);
  renameSync(`${config}.next`, config);
  await becomes('dh');
});

test('a change between the reading of the settings and the first look is not lost', async () => {
  const config = file('early.conf', header);
  const { settings, reloader } = setUp([`--config=${config}`]);
  writeFileSync(config, `${header}ipvs: {scheduler: lc}\n`);
  await using _following = reloader.start();
  await eventually(() => assert.equal(settings.now.scheduler, 'lc'), 3_000);
});

test('another serviceProxyName needs a restart: the names and the socket stay', async () => {
  const own = (name: string) =>
    `${header}---\napiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nserviceProxyName: ${name}\n`;
  const config = file('instance.conf', own('trial'));
  const { settings, reloader, log } = setUp([`--config=${config}`]);
  await reloader.check();
  writeFileSync(config, own('other'));
  await reloader.check();
  assert.match(JSON.stringify(log.lines), /serviceProxyName: .{0,4}trial.{0,4} → .{0,4}other/);
  assert.equal(settings.now.names.table, 'kube-ipvs-trial');
  assert.equal(settings.now.kubeIpvs.serviceProxyName, 'trial');
  assert.equal(settings.now.adminSocket, '/run/kube-ipvs/admin-trial.sock');
});
