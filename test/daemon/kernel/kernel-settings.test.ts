import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { resolveSettings } from '../../../src/config/settings.js';
import {
  absenceText,
  planKernelSettings,
  refusalText,
  toWholeSeconds,
  type KernelFacts,
} from '../../../src/daemon/kernel/kernel-settings.js';
import { countCpuList } from '../../../src/kernel/cpus.js';
import { parseRelease } from '../../../src/kernel/kernel-version.js';
import type { KernelParameter, KernelParameterValue } from '../../../src/kernel/sysctl.js';

const settingsOf = (...argv: readonly string[]) =>
  resolveSettings({ flags: parseFlags(argv), files: [], hostname: 'n1' });

/** A node that has been up for a while, with what a Linux 6.1 starts with, but for the values given. */
const machine = (
  values: Readonly<Record<string, KernelParameterValue>> = {},
  facts: Partial<KernelFacts> = {},
) => {
  const defaults: Readonly<Record<string, KernelParameterValue>> = {
    'net.ipv4.vs.conntrack': 0,
    'net.ipv4.vs.conn_reuse_mode': 1,
    'net.ipv4.vs.expire_nodest_conn': 0,
    'net.ipv4.vs.expire_quiescent_template': 0,
    'net.ipv4.ip_forward': 0,
    'net.ipv4.conf.all.arp_ignore': 0,
    'net.ipv4.conf.all.arp_announce': 0,
    'net.netfilter.nf_conntrack_max': 262_144,
    'net.netfilter.nf_conntrack_buckets': 65_536,
    'net.netfilter.nf_conntrack_tcp_timeout_established': 432_000,
    'net.netfilter.nf_conntrack_tcp_timeout_close_wait': 60,
    'net.netfilter.nf_conntrack_udp_timeout': 30,
    'net.netfilter.nf_conntrack_udp_timeout_stream': 120,
    'net.netfilter.nf_conntrack_tcp_be_liberal': 0,
  };
  return {
    release: '6.1.0-27-amd64',
    cpus: 4,
    read: ({ name }: KernelParameter) => values[name] ?? defaults[name] ?? 'absent',
    ...facts,
  };
};

const changes = (argv: readonly string[], facts: KernelFacts): Readonly<Record<string, number | string>> =>
  Object.fromEntries(
    planKernelSettings(settingsOf(...argv), facts).changes.map(({ setting, value }) => [setting.name, value]),
  );

const noConntrack = [
  '--conntrack-max-per-core=0',
  '--conntrack-tcp-timeout-established=0s',
  '--conntrack-tcp-timeout-close-wait=0s',
];

const ipvsNeeds = {
  'net.ipv4.vs.conntrack': 1,
  'net.ipv4.vs.expire_nodest_conn': 1,
  'net.ipv4.vs.expire_quiescent_template': 1,
  'net.ipv4.ip_forward': 1,
};

const defaultTimeouts = {
  'net.netfilter.nf_conntrack_tcp_timeout_established': 86_400,
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait': 3600,
};

test('a fresh machine gets what IPVS needs, the connection limit of its CPUs and the timeouts', () => {
  assert.deepEqual(changes([], machine()), {
    ...ipvsNeeds,
    'net.netfilter.nf_conntrack_max': 131_072,
    ...defaultTimeouts,
  });
});

test('nothing is written where everything has its value', () => {
  const done = machine({ ...ipvsNeeds, ...defaultTimeouts, 'net.netfilter.nf_conntrack_max': 131_072 });
  assert.deepEqual(changes([], done), {});
});

const releases: readonly (readonly [release: string, mode: 'set to 0' | 'left alone'])[] = [
  ['4.0.9', 'left alone'],
  ['4.1.0', 'set to 0'],
  ['4.18.0-553.el8.x86_64', 'set to 0'],
  ['5.4.0-1012-gke', 'set to 0'],
  ['5.8.18', 'set to 0'],
  ['5.9.0', 'left alone'],
  ['5.10-rc1', 'left alone'],
  ['5.15.0-1064-azure', 'left alone'],
  ['6.1.192-lab', 'left alone'],
  ['10.0', 'left alone'],
];
for (const [release, mode] of releases)
  test(`conn_reuse_mode on ${release} is ${mode}`, () => {
    const { changes: planned, warnings } = planKernelSettings(
      settingsOf(...noConntrack),
      machine(ipvsNeeds, { release }),
    );
    assert.deepEqual(
      planned.map(({ setting, value, required }) => [setting.name, value, required]),
      mode === 'set to 0' ? [['net.ipv4.vs.conn_reuse_mode', 0, undefined]] : [],
    );
    assert.deepEqual(warnings, []);
  });

test('conn_reuse_mode is left alone where it does not exist, and where the release says nothing', () => {
  const old = { release: '5.4.0' };
  assert.deepEqual(
    planKernelSettings(
      settingsOf(...noConntrack),
      machine({ ...ipvsNeeds, 'net.ipv4.vs.conn_reuse_mode': 'absent' }, old),
    ),
    { changes: [], absent: [], warnings: [] },
  );
  const unknown = machine(ipvsNeeds, { release: 'linux-next' });
  const { changes: planned, warnings } = planKernelSettings(settingsOf(...noConntrack), unknown);
  assert.deepEqual(planned, []);
  assert.match(warnings.join(), /"linux-next" is not a kernel release.*conn_reuse_mode is not changed/);
});

const limits: readonly (readonly [what: string, argv: readonly string[], cpus: number, maximum: number])[] = [
  ['conntrack.min where there are few CPUs', [], 2, 131_072],
  ['so many a CPU', [], 8, 262_144],
  ['at most 1048576', [], 64, 1_048_576],
  ['a minimum above that cap as it is', ['--conntrack-min=2000000'], 8, 2_000_000],
  ['the cap instead of the minimum where the CPUs pass it', ['--conntrack-min=2000000'], 64, 1_048_576],
];
for (const [what, argv, cpus, maximum] of limits)
  test(`connections tracked: ${what}`, () => {
    const planned = changes(argv, machine({ 'net.netfilter.nf_conntrack_max': 1 }, { cpus }));
    assert.equal(planned['net.netfilter.nf_conntrack_max'], maximum);
  });

test('the buckets grow to a quarter of the limit and never shrink; no limit, no buckets', () => {
  const buckets = (argv: readonly string[], before: number) =>
    changes(argv, machine({ 'net.netfilter.nf_conntrack_buckets': before }))[
      'net.netfilter.nf_conntrack_buckets'
    ];
  assert.equal(buckets([], 32_767), 32_768);
  assert.equal(buckets([], 32_768), undefined);
  assert.equal(buckets([], 99_999), undefined);
  assert.equal(buckets(['--conntrack-max-per-core=0'], 1), undefined);
});

test('of the conntrack timeouts those are set that are not 0, in seconds, and never to 0', () => {
  assert.deepEqual(
    changes(
      [
        '--conntrack-max-per-core=0',
        '--conntrack-tcp-timeout-established=0s',
        '--conntrack-tcp-timeout-close-wait=500ms',
        '--conntrack-udp-timeout=90s',
        '--conntrack-udp-timeout-stream=2500ms',
        '--conntrack-tcp-be-liberal',
      ],
      machine(ipvsNeeds),
    ),
    {
      'net.netfilter.nf_conntrack_tcp_timeout_close_wait': 1,
      'net.netfilter.nf_conntrack_udp_timeout': 90,
      'net.netfilter.nf_conntrack_udp_timeout_stream': 2,
      'net.netfilter.nf_conntrack_tcp_be_liberal': 1,
    },
  );
  assert.deepEqual([0, 0.001, 999, 1000, 1999, 60_000].map(toWholeSeconds), [0, 1, 1, 1, 1, 60]);
});

test('strictARP asks for both ARP settings, and tcpBeLiberal: false for nothing', () => {
  assert.deepEqual(changes([...noConntrack, '--ipvs-strict-arp'], machine(ipvsNeeds)), {
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
  });
  const liberal = machine({ ...ipvsNeeds, 'net.netfilter.nf_conntrack_tcp_be_liberal': 1 });
  assert.deepEqual(changes([...noConntrack, '--conntrack-tcp-be-liberal=false'], liberal), {});
});

test('what does not exist and what cannot be read is told apart', () => {
  const { absent, changes: planned } = planKernelSettings(
    settingsOf(...noConntrack),
    machine({ ...ipvsNeeds, 'net.ipv4.vs.conntrack': 'absent', 'net.ipv4.ip_forward': 'unreadable' }),
  );
  assert.deepEqual(absent.map(absenceText), [
    'cannot set net.ipv4.vs.conntrack to 1: IPVS was built without CONFIG_IP_VS_NFCT; boot a kernel that has it; ' +
      'without it, connections through IPVS are not tracked, and so not masqueraded',
  ]);
  assert.deepEqual(
    planned.map((change) => refusalText(change, 'EROFS')),
    [
      'cannot set net.ipv4.ip_forward to 1 (it is unreadable): EROFS; without it, replies from pods do not reach their clients. ' +
        'Set it on the node: sysctl -w net.ipv4.ip_forward=1',
    ],
  );
});

test('a refused limit is explained with the value, the command and the setting that avoids it', () => {
  const { changes: planned } = planKernelSettings(
    settingsOf(),
    machine({ ...ipvsNeeds, ...defaultTimeouts, 'net.netfilter.nf_conntrack_buckets': 4096 }),
  );
  assert.deepEqual(
    planned.map((change) => refusalText(change, 'EACCES')),
    [
      'cannot set net.netfilter.nf_conntrack_max to 131072 (it is 262144): EACCES; the maximum of tracked connections. ' +
        'Set it on the node: sysctl -w net.netfilter.nf_conntrack_max=131072, or leave it alone: conntrack.maxPerCore: 0',
      'cannot set net.netfilter.nf_conntrack_buckets to 32768 (it is 4096): EACCES; connection tracking is slow with fewer buckets than a quarter of nf_conntrack_max. ' +
        'Set it on the node: sysctl -w net.netfilter.nf_conntrack_buckets=32768, or leave it alone: conntrack.maxPerCore: 0',
    ],
  );
});

test('releases of distributions are read, other words are not', () => {
  assert.deepEqual(parseRelease('4.18.0-553.el8_10.x86_64\n'), { major: 4, minor: 18 });
  assert.deepEqual(parseRelease('7.2'), { major: 7, minor: 2 });
  for (const text of ['', 'linux', '6', 'v6.1', '6.x']) assert.equal(parseRelease(text), undefined, text);
});

test('lists of CPUs are counted as the kernel writes them', () => {
  assert.deepEqual(['0', '0-3\n', '0-3,8-11,15', '', 'x', '0-'].map(countCpuList), [
    1,
    4,
    9,
    undefined,
    undefined,
    undefined,
  ]);
});
