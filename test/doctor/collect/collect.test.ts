import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requiredPermissions } from '../../../src/doctor/collect/api.js';
import { collectFact } from '../../../src/doctor/collect/collect-fact.js';
import { parseMetrics, localUrl } from '../../../src/doctor/collect/daemon.js';
import { parseIpvsTable, programOf } from '../../../src/doctor/collect/proc.js';
import { advise, runOnNode } from '../../../src/doctor/remedy.js';
import { grantedRights } from '../../support/granted-rights.js';

test('the rights that are asked for are those that deploy/base/rbac.yaml grants', () => {
  assert.deepEqual(
    requiredPermissions.map(({ verb, group, resource }) => `${verb} ${group}/${resource}`).toSorted(),
    grantedRights(),
  );
});

test('/proc/net/ip_vs: virtual and real servers of both families, and their connections', () => {
  const table = [
    'IP Virtual Server version 1.2.1 (size=4096)',
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port Forward Weight ActiveConn InActConn',
    'TCP  0A600001:01BB rr  ',
    '  -> C0A80005:192B      Masq    1      7          2         ',
    'UDP  [FD00:0000:0000:0000:0000:0000:0000:0001]:0035 rr  ',
    '  -> [FD00:0000:0000:0000:0000:0000:0000:0007]:0035      Masq    1      0          30        ',
    '  -> [FD00:0000:0000:0000:0000:0000:0000:0008]:0035      Local   0      1          0         ',
    'FWM  00000005 wlc persistent 360 FFFFFFFF',
    '',
  ].join('\n');
  assert.deepEqual(parseIpvsTable(table), {
    version: '1.2.1',
    buckets: 4096,
    virtualServers: 3,
    realServers: 3,
    connections: 40,
  });
});

test('programs are known by their command lines', () => {
  const cases: readonly (readonly [line: string, program: string | undefined])[] = [
    ['/usr/local/bin/kube-proxy --config=/var/lib/kube-proxy/config.conf', 'kube-proxy'],
    ['node /usr/local/bin/kube-proxy --config=/var/lib/kube-proxy/config.conf', 'kube-ipvs'],
    ['/usr/bin/node /app/dist/kube-ipvs.js run --proxy-mode=ipvs', 'kube-ipvs'],
    ['node /usr/bin/kube-ipvs', 'kube-ipvs'],
    ['node /usr/bin/kube-ipvs doctor', undefined],
    ['node /usr/bin/kube-ipvs dump --rate', undefined],
    ['/speaker --port=7472', 'speaker'],
    ['vi kube-proxy', undefined],
    ['', undefined],
  ];
  for (const [line, program] of cases)
    assert.equal(programOf(line === '' ? [''] : [...line.split(' '), '']), program, line);
});

test('metrics are summed over their labels, and by resource where one is named', () => {
  const page = [
    '# TYPE kube_ipvs_drift_repaired_total counter',
    'kube_ipvs_drift_repaired_total{object="address",drift="missing"} 2',
    'kube_ipvs_drift_repaired_total{object="rule",drift="changed"} 3',
    'kube_ipvs_virtual_servers 12',
    'kube_ipvs_watch_following{resource="services"} 1',
    'kube_ipvs_watch_following{resource="nodes"} 0',
  ].join('\n');
  assert.deepEqual(Object.fromEntries(parseMetrics(page)), {
    kube_ipvs_drift_repaired_total: 5,
    kube_ipvs_virtual_servers: 12,
    kube_ipvs_watch_following: 1,
    'kube_ipvs_watch_following{resource="services"}': 1,
    'kube_ipvs_watch_following{resource="nodes"}': 0,
  });
});

test('a server that listens everywhere is asked at the loopback address', () => {
  assert.equal(localUrl('0.0.0.0:10256', '/healthz'), 'http://127.0.0.1:10256/healthz');
  assert.equal(localUrl('[::]:10256', '/healthz'), 'http://[::1]:10256/healthz');
  assert.equal(localUrl('192.0.2.7:10249', '/metrics'), 'http://192.0.2.7:10249/metrics');
  assert.equal(localUrl('', '/metrics'), undefined);
});

test('a look that fails says what it could not see, why, and the command that shows it', async () => {
  const refused = Object.assign(new Error('open: EACCES'), { code: 'EACCES' });
  assert.deepEqual(
    await collectFact(
      () => {
        throw refused;
      },
      'the rules',
      runOnNode('nft list ruleset'),
    ),
    { unavailable: 'cannot read the rules: open: EACCES', remedies: [runOnNode('nft list ruleset')] },
  );
  assert.deepEqual(await collectFact(async () => 5, 'it', advise('Run as root.')), { value: 5 });
});
