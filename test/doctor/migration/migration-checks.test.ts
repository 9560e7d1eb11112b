import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckStatus } from '../../../src/doctor/check-result.js';
import { evaluateChecks } from '../../../src/doctor/all-checks.js';
import type { Facts } from '../../../src/doctor/facts.js';
import { migrationChecks } from '../../../src/doctor/migration/migration-checks.js';
import { modeOfRules } from '../../../src/doctor/migration/migration-facts.js';
import { chain, goodFacts, numbers, service, settingsOf } from '../../support/doctor-facts.js';

const withKubeProxy: Partial<Facts> = {
  programs: { value: [{ name: 'kube-proxy', pid: 7 }] },
  proxyMode: { value: 'ipvs' },
  runningKubeProxy: { value: { pid: 7, settings: { value: goodFacts.configuration.settings } } },
};

const resultOf = (wanted: string, changes: Partial<Facts>) => {
  const [report] = evaluateChecks(
    { ...goodFacts, ...withKubeProxy, ...changes },
    migrationChecks.filter(({ id }) => id === wanted),
  );
  assert.ok(report, wanted);
  return report;
};

const nodePortService = service('default/web', {
  type: 'NodePort',
  clusterIPs: ['10.96.0.10'],
  ports: ['http:80@30080'],
});

const configuration = (...flags: readonly string[]): Facts['configuration'] => ({
  ...goodFacts.configuration,
  settings: settingsOf(...flags),
});

interface Case {
  readonly id: string;
  readonly facts: Partial<Facts>;
  readonly result: CheckStatus;
  readonly seen: RegExp;
}

const cases: readonly Case[] = [
  { id: 'running-proxy', facts: {}, result: 'pass', seen: /^kube-proxy \(process 7\) runs in mode ipvs$/ },
  {
    id: 'running-proxy',
    facts: { programs: { value: [{ name: 'kube-ipvs', pid: 9 }] } },
    result: 'fail',
    seen: /^kube-ipvs \(process 9\) runs on this node already$/,
  },
  {
    id: 'running-proxy',
    facts: { proxyMode: { value: undefined } },
    result: 'warn',
    seen: /runs, but has no rules/,
  },
  {
    id: 'running-proxy',
    facts: { programs: { value: [] } },
    result: 'warn',
    seen: /^rules of kube-proxy in mode ipvs, but no process is visible$/,
  },
  { id: 'configuration-differences', facts: {}, result: 'pass', seen: /same settings/ },
  {
    id: 'configuration-differences',
    facts: { configuration: configuration('--ipvs-scheduler=lc') },
    result: 'warn',
    seen: /ipvs\.scheduler: "?\w*"? → "lc"/,
  },
  {
    id: 'configuration-differences',
    facts: { runningKubeProxy: { value: undefined } },
    result: 'unknown',
    seen: /no kube-proxy is visible/,
  },
  { id: 'taken-over', facts: {}, result: 'pass', seen: /virtual servers? and kube-ipvs0 are taken over/ },
  {
    id: 'taken-over',
    facts: { proxyMode: { value: 'iptables' } },
    result: 'pass',
    seen: /^new connections go through IPVS and kube-ipvs0/,
  },
  {
    id: 'kernel-settings',
    facts: {
      kernelSettings: numbers({ 'net.ipv4.vs.conntrack': 0, 'net.ipv4.vs.expire_nodest_conn': 'absent' }),
    },
    result: 'pass',
    seen: /net\.ipv4\.vs\.conntrack: 0 becomes 1.*expire_nodest_conn becomes 1 when its module is loaded/,
  },
  {
    id: 'kernel-settings',
    facts: { kernelSettings: numbers({ 'net.ipv4.vs.conntrack': 'unreadable' }) },
    result: 'unknown',
    seen: /cannot read net\.ipv4\.vs\.conntrack/,
  },
  {
    id: 'removed-rules',
    facts: {
      chains: { value: [chain('ip', 'nat', 'KUBE-SERVICES')] },
      ipsets: { value: ['KUBE-CLUSTER-IP', 'mine'] },
    },
    result: 'pass',
    seen: /^1 chain and 1 ipset of kube-proxy are removed/,
  },
  {
    id: 'removed-rules',
    facts: { legacyChains: { value: [{ ...chain('ip', 'nat', 'KUBE-SERVICES'), by: 'iptables-legacy' }] } },
    result: 'warn',
    seen: /^1 chain of kube-proxy in iptables-legacy/,
  },
  {
    id: 'node-ports',
    facts: { services: { value: [nodePortService] } },
    result: 'pass',
    seen: /^node ports stay as they are: 30080$/,
  },
  {
    id: 'node-ports',
    facts: { services: { value: [nodePortService] }, proxyMode: { value: 'iptables' } },
    result: 'warn',
    seen: /no longer answer on 127\.0\.0\.1 .*: 30080$/,
  },
  {
    id: 'node-ports',
    facts: { services: { value: [nodePortService] }, proxyMode: { value: 'nftables' } },
    result: 'warn',
    seen: /answer on all addresses of the node/,
  },
  {
    id: 'node-ports',
    facts: { services: { value: [] } },
    result: 'pass',
    seen: /no Service has a node port/,
  },
  { id: 'dependent-rules', facts: {}, result: 'pass', seen: /no rule of another program/ },
  {
    id: 'dependent-rules',
    facts: { dependentRules: { value: [{ family: 'ip', table: 'nat', chain: 'CNI-HOSTPORT-SETMARK' }] } },
    result: 'warn',
    seen: /^rules of other programs jump .*, in CNI-HOSTPORT-SETMARK \(ip nat\)$/,
  },
  { id: 'network-programs', facts: {}, result: 'pass', seen: /no program that adapts/ },
  {
    id: 'network-programs',
    facts: { programs: { value: [{ name: 'calico-node', pid: 5 }] } },
    result: 'pass',
    seen: /already works beside IPVS/,
  },
  {
    id: 'network-programs',
    facts: { programs: { value: [{ name: 'calico-node', pid: 5 }] }, proxyMode: { value: 'iptables' } },
    result: 'warn',
    seen: /Felix restarts itself when kube-ipvs0 appears/,
  },
  { id: 'ports', facts: {}, result: 'pass', seen: /^health port 0\.0\.0\.0:10256, metrics port / },
  {
    id: 'ports',
    facts: { configuration: configuration('--healthz-bind-address=0.0.0.0:9999') },
    result: 'warn',
    seen: /ask port 10256/,
  },
];

for (const { id, facts, result, seen } of cases)
  test(`${id}: ${result}, ${seen.source}`, () => {
    const report = resultOf(id, facts);
    assert.match(report.seen, seen);
    assert.equal(report.result, result);
    if (result === 'warn' || result === 'fail') assert.ok(report.remedies.length > 0);
  });

test('on a good node with kube-proxy, no check fails or warns, and each has its own id', () => {
  const reports = evaluateChecks({ ...goodFacts, ...withKubeProxy }, migrationChecks);
  assert.deepEqual(
    reports.filter(({ result }) => result !== 'pass').map(({ id, seen }) => `${id}: ${seen}`),
    [],
  );
  assert.equal(new Set(reports.map(({ id }) => id)).size, reports.length);
  assert.ok(reports.length > 35, String(reports.length));
});

test('the mode is that of the rules in the kernel', () => {
  const nat = (name: string) => ({ table: 'nat', chain: name });
  assert.equal(modeOfRules([], []), undefined);
  assert.equal(modeOfRules([nat('KUBE-SERVICES')], ['KUBE-CLUSTER-IP']), 'ipvs');
  assert.equal(modeOfRules([nat('KUBE-SERVICES'), nat('KUBE-SVC-ABCDEFG')], []), 'iptables');
  // ipsets of an earlier mode
  assert.equal(modeOfRules([nat('KUBE-SVC-ABCDEFG')], ['KUBE-CLUSTER-IP']), 'iptables');
  assert.equal(modeOfRules([nat('KUBE-SERVICES')], []), 'iptables');
  assert.equal(modeOfRules([{ table: 'kube-proxy', chain: 'services' }], []), 'nftables');
  assert.equal(modeOfRules([nat('KUBE-FIREWALL')], ['mine']), undefined);
});
