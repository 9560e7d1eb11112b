import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { DaemonProcess, eventually } from './daemon-process.js';
import { addressesOf, runLine, savedTable, vipRoutesOf } from './lab-guest.js';
import { ready, serviceObject, sliceObject } from './objects.js';
import { elapse } from './virtual-clock.js';

/** From when the programs that make the change have ended. */
export const aSecond = 1_000;
export const period = 2_000;
/** A period, half of one more for the slices, and what the guest takes. */
export const periodAndSlices = period * 1.5 + 2_000;
/** A daemon that serves a Service of both families with a load balancer address, before and after the tests of a file. */
export const driftLab = (binding: VipBinding): void => {
  let daemon: DaemonProcess;
  before(async () => {
    runLine('ip link set lo up');
    runLine('ip link add eth0 type dummy');
    runLine('ip address add 192.0.2.10/24 dev eth0');
    runLine('ip link set eth0 up');
    const items = [
      serviceObject('web', {
        type: 'LoadBalancer',
        clusterIPs: ['10.96.0.1', 'fd00:96::1'],
        ipFamilies: ['IPv4', 'IPv6'],
        ports: ['http:80@30080'],
        loadBalancerSourceRanges: ['198.51.100.0/24'],
        ingress: [{ ip: '203.0.113.7' }],
      }),
      sliceObject('web', [ready('10.128.0.1'), ready('10.128.0.2')], { ports: ['http:80'] }),
      sliceObject('web', [ready('fd00:128::1')], { ports: ['http:80'], family: 'IPv6', suffix: 'v6' }),
    ];
    const folder = mkdtempSync(join(tmpdir(), 'drift-'));
    const source = join(folder, 'world.json');
    const own = join(folder, 'own.yaml');
    writeFileSync(
      own,
      `apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nvips: {binding: ${binding}}\n`,
    );
    writeFileSync(source, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const flags = [`--ipvs-sync-period=${period}ms`, '--nodeport-addresses=192.0.2.0/24'];
    daemon = new DaemonProcess([`--source=${source}`, `--config=${own}`, ...flags]);
    await eventually(() => assert.match(daemon.log, /"synced"/));
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
  });
};

/** Of the metric: by object and how it was. */
export const counts = async (): Promise<ReadonlyMap<string, number>> => {
  // A kept connection may be closed by the daemon in the moment that it is used again.
  const page = await (
    await fetch('http://127.0.0.1:10249/metrics', { headers: { connection: 'close' } })
  ).text();
  const series = /^kube_ipvs_drift_repaired_total\{object="([^"]+)",drift="([^"]+)"\} (\d+)$/gm;
  return new Map(
    [...page.matchAll(series)].map(([, object, drift, count]) => [`${object} ${drift}`, Number(count)]),
  );
};

const rulesText = (): string =>
  (runLine('nft list table ip kube-ipvs') + runLine('nft list table ip6 kube-ipvs')).replaceAll(
    /counter packets \d+ bytes \d+/g,
    'counter',
  );
/** The order of elements in nft's text is the kernel's. */
const rules = (): readonly string[] =>
  rulesText()
    .replaceAll(/elements = \{([^}]*)\}/g, (_, all: string) =>
      all
        .split(',')
        .map((each) => each.trim())
        .toSorted()
        .join('\n'),
    )
    .split('\n')
    .map((line) => line.trim())
    .toSorted();

export const everything = () => ({
  table: savedTable(),
  addresses: addressesOf('kube-ipvs0').filter((address) => !address.startsWith('fe80')),
  routes: vipRoutesOf(),
  rules: rules(),
});

export interface Drift {
  /** What somebody does. */
  readonly lines: readonly string[];
  /** How it is counted. */
  readonly counted: readonly string[];
  readonly within: number;
}

/** A test for each: everything is in time as it was, and counted. */
export const testDrifts = (drifts: Readonly<Record<string, Drift>>): void => {
  for (const [what, { lines, counted, within }] of Object.entries(drifts))
    test(`${what}: it is as it was within ${within} ms, counted as ${counted.join(' and ')}`, async () => {
      const before = everything();
      const countsBefore = await counts();
      for (const line of lines) runLine(line);
      await elapse(within);
      assert.deepEqual(everything(), before);
      const now = await counts();
      for (const name of counted) assert.ok((now.get(name) ?? 0) > (countsBefore.get(name) ?? 0), name);
    });
};
