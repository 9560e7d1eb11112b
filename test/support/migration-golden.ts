import { endText, migrationJson, stepText } from '../../src/cli/migrate/migration-report.js';
import { doctorText } from '../../src/cli/doctor/doctor-text.js';
import { evaluateChecks } from '../../src/doctor/all-checks.js';
import type { Facts } from '../../src/doctor/facts.js';
import { migrationChecks } from '../../src/doctor/migration/migration-checks.js';
import { advise } from '../../src/doctor/remedy.js';
import { chain, goodFacts, numbers, service, settingsOf } from './doctor-facts.js';

// What `kube-ipvs migrate` prints of given facts and of given ends.

const facts: Facts = {
  ...goodFacts,
  configuration: {
    ...goodFacts.configuration,
    settings: settingsOf('--cluster-cidr=10.244.0.0/16', '--feature-gates=NFTablesProxyMode=true'),
  },
  programs: {
    value: [
      { name: 'kube-proxy', pid: 1234 },
      { name: 'calico-node', pid: 1234 },
    ],
  },
  proxyMode: { value: 'iptables' },
  runningKubeProxy: {
    value: {
      pid: 1234,
      settings: { value: settingsOf('--cluster-cidr=10.244.0.0/16', '--nodeport-addresses=192.0.2.0/24') },
    },
  },
  chains: { value: [chain('ip', 'nat', 'KUBE-SERVICES'), chain('ip', 'nat', 'KUBE-MARK-MASQ')] },
  dependentRules: { value: [{ family: 'ip', table: 'nat', chain: 'CNI-HOSTPORT-SETMARK' }] },
  kernelSettings: numbers({ 'net.ipv4.vs.conntrack': 0 }),
  services: {
    value: [
      service('default/web', { type: 'NodePort', clusterIPs: ['10.96.0.10'], ports: ['http:80@30080'] }),
    ],
  },
};

const steps = [
  { step: 'check', text: 'no check fails', seconds: 0.6 },
  { step: 'probe', text: 'tcp://10.96.0.1:443, tcp://10.96.0.10:53', seconds: 0.7 },
  { step: 'before', text: '0 of 60 requests failed in 3s', seconds: 3.7 },
  {
    step: 'switch',
    text: 'set the label kube-ipvs.dev/service-proxy=kube-ipvs of Node node-1',
    seconds: 3.8,
  },
  { step: 'serve', text: 'kube-ipvs (process 1234) has synced and serves alone', seconds: 9.2 },
] as const;

const counts = {
  counts: [{ target: 'tcp://10.96.0.1:443', requests: 131, failed: 1, slowestMilliseconds: 20 }],
  failures: ['2026-11-23T10:00:00Z tcp://10.96.0.1:443: no answer within 3 s'],
};

const ends = [
  { result: 'migrated', reason: undefined, remedies: [] },
  {
    result: 'rolled-back',
    reason: '1 request failed',
    remedies: [],
  },
  {
    result: 'incomplete',
    reason: '2 objects of kube-proxy could not be removed',
    remedies: [
      advise(
        'Run the commands of this list as root on the node.',
        'kube-ipvs cleanup --kube-proxy --dry-run',
      ),
    ],
  },
] as const;

/** The text of test/fixtures/cli/migrate.txt. */
export const migrationGolden = (): string =>
  [
    '$ kube-ipvs migrate check\n',
    doctorText(evaluateChecks(facts, migrationChecks), false),
    '\n$ kube-ipvs migrate check --quiet\n',
    doctorText(evaluateChecks(facts, migrationChecks), true),
    ...ends.flatMap((end) => [
      '\n$ kube-ipvs migrate node\n',
      ...steps.map(stepText),
      endText(end, end.result === 'rolled-back' ? counts : undefined),
    ]),
    '\n$ kube-ipvs migrate node -o json\n',
    `${JSON.stringify(migrationJson(steps, ends[1], counts), undefined, 2)}\n`,
  ].join('');
