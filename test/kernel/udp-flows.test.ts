import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { SingleSocketClient } from '../support/single-socket-client.js';

// Clients that keep one UDP socket and send ten times a second, while what serves them changes; and flows of others, which stay.

const addresses = {
  IPv4: {
    virtual: '10.96.0.10',
    external: '203.0.113.9',
    other: '10.96.0.20',
    late: '198.51.100.9',
    pod: '10.244.0.1',
  },
  IPv6: {
    virtual: 'fd00:96::10',
    external: '2001:db8:9::9',
    other: 'fd00:96::20',
    late: '2001:db8:c::9',
    pod: 'fd00:244::1',
  },
} as const;
const families = ['IPv4', 'IPv6'] as const;
const manifest = join(mkdtempSync(join(tmpdir(), 'udp-flows-')), 'world.json');
const aSecond = 1_000;
let network: ClusterNetwork;
let daemon: DaemonProcess;

interface World {
  readonly pods: readonly number[];
  readonly external?: boolean;
  /** Whether there is a Service `late`, too, of pod 1. */
  readonly late?: boolean;
}

const service = (name: string, clusterIPs: readonly string[], externalIPs: readonly string[]) =>
  serviceObject(name, { clusterIPs, externalIPs, ipFamilies: families, ports: ['dns:53/UDP'] });

const slices = (name: string, pods: readonly number[]) =>
  families.map((family) =>
    sliceObject(
      name,
      pods.map((pod) => ready(`${addresses[family].pod}${pod}`)),
      { ports: ['dns:8080/UDP'], family, suffix: family.toLowerCase() },
    ),
  );

/** Puts the Service `dns` with these pods in the place of what was there, beside a Service `other` that stays; resolves once the kernel has it. */
const program = async ({ pods, external = true, late = false }: World): Promise<void> => {
  const items = [
    service(
      'dns',
      families.map((family) => addresses[family].virtual),
      external ? families.map((family) => addresses[family].external) : [],
    ),
    ...slices('dns', pods),
    service(
      'other',
      families.map((family) => addresses[family].other),
      [],
    ),
    ...slices('other', [1]),
    ...(late
      ? [
          service(
            'late',
            ['10.96.0.30', 'fd00:96::30'],
            families.map((family) => addresses[family].late),
          ),
        ]
      : []),
    ...(late ? slices('late', [1]) : []),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
  await eventually(() => {
    const table = savedTable('node');
    const served = table.filter((line) => / (10\.96\.0\.10|203\.|\[fd00:96::10|\[2001:db8:9:)/.test(line));
    const frontends = external ? 4 : 2;
    assert.equal(served.length, frontends * (1 + pods.length), `${daemon.log}\n${served.join('\n')}`);
    assert.equal(
      table.some((line) => line.includes(addresses.IPv6.late)),
      late,
    );
    for (const pod of pods) assert.ok(served.some((line) => line.includes(`${addresses.IPv4.pod}${pod}:`)));
  });
};

/** Waits until the client hears this; fails where it takes longer than a second. */
const hears = async (client: SingleSocketClient, answer: string): Promise<void> => {
  const started = performance.now();
  await eventually(() => assert.equal(client.last, answer, daemon.log), 10_000);
  const took = Math.max(0, (client.lines.at(-1)?.at ?? 0) - started);
  assert.ok(took < aSecond, `${answer} after ${took} ms`);
};

/** The kernel's flows of UDP with their ids, by destination and port of the original direction and the client's port. */
const flows = (): ReadonlyMap<string, string> => {
  const found = new Map<string, string>();
  for (const family of ['ipv4', 'ipv6'])
    for (const line of runLine(`ip netns exec node conntrack -L -f ${family} -p udp -o id`).split('\n')) {
      const match = / dst=(\S+) sport=(\d+) dport=(\d+) .*src=(\S+) dst=\S+ sport=(\d+).* id=(\d+)/.exec(
        line,
      );
      if (match === null) continue;
      const [, destination, sourcePort, port, answerer, answererPort, id] = match;
      found.set(`${sourcePort} → ${destination}|${port}`, `${answerer}|${answererPort} ${id}`);
    }
  return found;
};

before(async () => {
  network = await ClusterNetwork.up(2);
  daemon = new DaemonProcess(
    [`--source=${manifest}`, '--ipvs-min-sync-period=0s', '--hostname-override=n1'],
    { namespace: 'node' },
  );
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
  await network[Symbol.asyncDispose]();
});

for (const family of families)
  test(`${family}: a client follows every change within a second, and no flow of another is touched`, async () => {
    const { virtual, external, other, pod } = addresses[family];
    await program({ pods: [1] });
    await using client = new SingleSocketClient('client', 'udp', virtual, 53, 4001);
    await using outside = new SingleSocketClient('client', 'udp', external, 53, 4002);
    // The same port on another address; the same pod by another destination.
    await using neighbour = new SingleSocketClient('client', 'udp', other, 53, 4003);
    await using direct = new SingleSocketClient('client', 'udp', `${pod}1`, 8080, 4004);
    for (const one of [client, outside, neighbour, direct])
      await eventually(() => assert.equal(one.last, 'pod1'));
    const others = [`4003 → ${other}|53`, `4004 → ${pod}1|8080`];
    const before = flows();
    const untouched = (): void => {
      const now = flows();
      for (const key of others) assert.equal(now.get(key), before.get(key));
    };
    for (const key of others) assert.ok(before.has(key), [...before.keys()].join(', '));

    await program({ pods: [2] });
    await hears(client, 'pod2');
    await hears(outside, 'pod2');
    untouched();

    await program({ pods: [] });
    await hears(client, '-');
    await program({ pods: [1] });
    await hears(client, 'pod1');
    await hears(outside, 'pod1');
    untouched();

    await program({ pods: [1], external: false });
    await hears(outside, '-');
    assert.equal(client.last, 'pod1');
    assert.ok(
      ![...flows()].some(([key, value]) => key.includes(`${external}|53`) && value.startsWith(`${pod}1`)),
    );
    await program({ pods: [1] });
    await hears(outside, 'pod1');
    untouched();
    for (const one of [neighbour, direct])
      assert.deepEqual(
        one.lines.map(({ text }) => text),
        ['pod1'],
      );
  });

for (const family of families)
  test(`${family}: a client that sent before the Service existed is served by it`, async () => {
    const { late, pod } = addresses[family];
    await program({ pods: [1] });
    // Until then its packets go elsewhere, and the kernel remembers them as a flow to there.
    const [version, via] = family === 'IPv4' ? ['-4', '192.0.2.77'] : ['-6', '2001:db8:1::77'];
    runLine(`ip -n node ${version} route add ${late} via ${via} dev ext0`);
    runLine(`ip -n node neigh add ${via} lladdr 02:00:00:00:00:77 dev ext0`);
    await using client = new SingleSocketClient('client', 'udp', late, 53, 4005);
    const key = `4005 → ${late}|53`;
    await eventually(() => assert.match(flows().get(key) ?? '', new RegExp(`^${late}`)));
    await program({ pods: [1], late: true });
    await hears(client, 'pod1');
    await eventually(() => assert.match(flows().get(key) ?? '', new RegExp(`^${pod}1`)), aSecond);
  });
