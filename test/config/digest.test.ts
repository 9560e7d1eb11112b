import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../src/config/parse-flags.js';
import { configDigest } from '../../src/config/configuration-document.js';
import { resolveSettings } from '../../src/config/settings.js';

const header = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n';

const digest = (lines: string, argv: readonly string[] = [], hostname = 'machine'): string =>
  configDigest(
    resolveSettings({
      flags: parseFlags(argv),
      files: lines === '' ? [] : [{ name: 'config.conf', text: `${header}${lines}\n` }],
      hostname,
    }),
  );

/** The arguments of a DaemonSet with what the downward API fills in. */
const argumentsOf = (name: string, address: string): readonly string[] => {
  const host = address.includes(':') ? `[${address}]` : address;
  return [
    `--hostname-override=${name}`,
    `--bind-address=${address}`,
    `--healthz-bind-address=${host}:10256`,
    `--metrics-bind-address=${host}:10249`,
    `--nodeport-addresses=${address}/${address.includes(':') ? 128 : 32}`,
  ];
};

test('nodes with one configuration have one digest, whatever their names and addresses', () => {
  const flags = [
    argumentsOf('node-1', '192.0.2.1'),
    argumentsOf('node-2', '192.0.2.2'),
    argumentsOf('node-3', 'fd00::3'),
  ].map((argv) => digest('', argv, 'machine'));
  assert.deepEqual(new Set(flags).size, 1);
  const file = 'ipvs: {scheduler: lc}';
  assert.equal(digest(file, [], 'node-1'), digest(file, [], 'node-2'));
  assert.equal(
    digest(file, ['--hostname-override=node-1']),
    digest(file, ['--hostname-override=NODE-2 '], 'other'),
  );
  assert.equal(
    digest('hostnameOverride: a\nhealthzBindAddress: "192.0.2.1:10256"'),
    digest('hostnameOverride: b\nhealthzBindAddress: "192.0.2.2:10256"'),
  );
  assert.match(digest(file), /^[0-9a-f]{12}$/);
});

/** Pairs of which each is a difference that all nodes share. */
const differences: readonly (readonly [string, string])[] = [
  ['ipvs: {scheduler: lc}', 'ipvs: {scheduler: sh}'],
  ['bindAddress: 0.0.0.0', 'bindAddress: "::"'],
  ['healthzBindAddress: "0.0.0.0:10256"', 'healthzBindAddress: "127.0.0.1:10256"'],
  ['healthzBindAddress: "192.0.2.1:10256"', 'healthzBindAddress: "192.0.2.1:10257"'],
  ['healthzBindAddress: "192.0.2.1:10256"', 'healthzBindAddress: "0.0.0.0:10256"'],
  ['metricsBindAddress: "127.0.0.1:10249"', 'metricsBindAddress: "0.0.0.0:10249"'],
  ['nodePortAddresses: [192.0.2.0/24]', 'nodePortAddresses: [192.0.3.0/24]'],
  ['nodePortAddresses: [192.0.2.1/32]', 'nodePortAddresses: [primary]'],
  ['nodePortAddresses: [127.0.0.1/32]', 'nodePortAddresses: [192.0.2.1/32]'],
  ['', '\n---\napiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\ndrain: {deadline: 1m}'],
];
for (const [one, other] of differences)
  test(`a difference in what nodes share is one of digests: ${one} and ${other.trim()}`, () =>
    assert.notEqual(digest(`# a file\n${one}`), digest(`# a file\n${other}`)));
