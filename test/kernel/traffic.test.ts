import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork, HoldingClient, type Position } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// Real connections through VIPs to pods in namespaces of their own, programmed by the daemon from manifests.

const virtual = { IPv4: '10.96.0.10', IPv6: 'fd00:96::10' } as const;
const podAddress = { IPv4: '10.244.0.1', IPv6: 'fd00:244::1' } as const;
const protocols = { tcp: 80, udp: 53 } as const;
const ports = ['http:80/TCP@30080', 'dns:53/UDP', 'diameter:3868/SCTP'];
const podPorts = ['http:8080/TCP', 'dns:8080/UDP', 'diameter:3868/SCTP'];

const scratch = mkdtempSync(join(tmpdir(), 'traffic-'));
const manifest = join(scratch, 'world.json');
let network: ClusterNetwork;
let daemon: DaemonProcess;

/** Puts a Service `web` with these pods and this scheduler in the place of what was there, and waits for the kernel. */
const program = async (pods: readonly number[], scheduler: string): Promise<void> => {
  const items = [
    serviceObject('web', {
      type: 'NodePort',
      clusterIPs: [virtual.IPv4, virtual.IPv6],
      ipFamilies: ['IPv4', 'IPv6'],
      ports,
      annotations: { 'ipvs.kube-ipvs.dev/scheduler': scheduler },
    }),
    ...(['IPv4', 'IPv6'] as const).map((family) =>
      sliceObject(
        'web',
        pods.map((pod) => ready(`${podAddress[family]}${pod}`)),
        {
          ports: podPorts,
          family,
          suffix: family.toLowerCase(),
        },
      ),
    ),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
  await eventually(() => {
    const lines = savedTable('node');
    assert.ok(
      lines.some((line) => line.startsWith(`-A -t ${virtual.IPv4}:80 -s ${scheduler}`)),
      `${daemon.log}\n${lines.join('\n')}`,
    );
    for (const address of [virtual.IPv4, `[${virtual.IPv6}]`]) {
      for (const protocol of ['-t', '-u', '--sctp-service']) {
        // What drains still stands there, with weight 0.
        const realServers = lines.filter((line) => line.startsWith(`-a ${protocol} ${address}:`));
        const taking = realServers.filter((line) => line.endsWith('-w 1'));
        assert.equal(taking.length, pods.length, `${daemon.log}\n${lines.join('\n')}`);
      }
    }
  });
};

/** Active connections of a real server of the IPv4 virtual server on port 80, as the kernel counts them. */
const activeConnections = (realServer: string): number => {
  const line = runLine(`ip netns exec node ipvsadm -Ln -t ${virtual.IPv4}:80`)
    .split('\n')
    .find((text) => text.includes(realServer));
  return Number(line?.trim().split(/\s+/)[4]);
};

const counted = (answers: readonly string[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
};

before(async () => {
  network = await ClusterNetwork.up(3);
  daemon = new DaemonProcess(
    [`--source=${manifest}`, '--ipvs-min-sync-period=0s', '--hostname-override=n1'],
    {
      namespace: 'node',
    },
  );
  await program([1, 2], 'rr');
});
after(async () => {
  assert.equal(await daemon.stop(), 0);
  await network[Symbol.asyncDispose]();
});

for (const from of ['client', 'node'] satisfies Position[]) {
  for (const family of ['IPv4', 'IPv6'] as const) {
    for (const protocol of ['tcp', 'udp'] as const) {
      test(`rr: ${protocol} over ${family} from the ${from} alternates between the pods`, () => {
        const answers = network.ask(from, protocol, virtual[family], protocols[protocol], 6);
        assert.deepEqual(counted(answers), { pod1: 3, pod2: 3 });
        assert.notEqual(answers[0], answers[1]);
        assert.equal(answers[0], answers[2]);
      });
    }
  }
}

test('a NodePort answers on the address of the node', () => {
  assert.deepEqual(counted(network.ask('client', 'tcp', '192.0.2.1', 30080, 4)), { pod1: 2, pod2: 2 });
  assert.deepEqual(counted(network.ask('client', 'tcp', '2001:db8:1::1', 30080, 4)), { pod1: 2, pod2: 2 });
});

test('a pod that comes gets requests, one that goes gets none', async () => {
  await program([1, 2, 3], 'rr');
  assert.deepEqual(counted(network.ask('client', 'tcp', virtual.IPv4, 80, 9)), { pod1: 3, pod2: 3, pod3: 3 });
  await program([3], 'rr');
  assert.deepEqual(counted(network.ask('client', 'tcp', virtual.IPv4, 80, 4)), { pod3: 4 });
});

test('sh: one client sticks to one pod, over both families', async () => {
  await program([1, 2, 3], 'sh');
  for (const family of ['IPv4', 'IPv6'] as const) {
    const answers = network.ask('client', 'tcp', virtual[family], 80, 8);
    assert.equal(new Set(answers).size, 1, answers.join(' '));
    assert.match(answers[0] ?? '', /^pod[123]$/);
  }
});

test('sh: while a pod drains, no client is refused: those that it had go to another', async () => {
  await program([1, 2, 3], 'sh');
  const one = network.ask('client', 'tcp', virtual.IPv4, 80, 1)[0] ?? '';
  const others = [1, 2, 3].filter((pod) => `pod${pod}` !== one);
  await program(others, 'sh');
  assert.ok(
    savedTable('node').some((line) => line.endsWith(`${podAddress.IPv4}${one.slice(3)}:8080 -m -w 0`)),
  );
  const answers = network.ask('client', 'tcp', virtual.IPv4, 80, 6);
  assert.equal(new Set(answers).size, 1, answers.join(' '));
  assert.ok(others.map((pod) => `pod${pod}`).includes(answers[0] ?? ''), answers.join(' '));
});

test('lc: new connections go where the fewest are', async () => {
  await program([1, 2], 'lc');
  await using client = new HoldingClient('client', virtual.IPv4, 80);
  const first = [await client.open(), await client.open(), await client.open(), await client.open()];
  assert.deepEqual(counted(first), { pod1: 2, pod2: 2 });
  client.close('pod1');
  await eventually(() => assert.equal(activeConnections(`${podAddress.IPv4}1:8080`), 0));
  assert.deepEqual([await client.open(), await client.open()], ['pod1', 'pod1']);
});

test('without endpoints a connection is refused at once', async () => {
  await program([], 'rr');
  assert.deepEqual(network.ask('client', 'tcp', virtual.IPv4, 80, 1), ['ECONNREFUSED']);
});
