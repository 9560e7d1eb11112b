import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';

// Which pod gets the first request on nodes that start at the same time, such as those of a restarted fleet. The names of these
// nodes divide three pods evenly; test/plan shows how evenly a thousand names do.

const vip = '10.96.0.10';
const nodes = ['worker-1', 'worker-2', 'worker-3', 'worker-4', 'worker-5', 'worker-6'];
const podAddress = (pod: number): string => `10.244.0.1${pod}`;
const manifest = join(mkdtempSync(join(tmpdir(), 'fair-start-')), 'world.json');

/** A Service `web` with these pods. */
const program = (pods: readonly number[], scheduler = 'rr'): void => {
  const annotations = { 'ipvs.kube-ipvs.dev/scheduler': scheduler };
  const items = [
    serviceObject('web', { clusterIPs: [vip], ports: ['http:80/TCP'], annotations }),
    sliceObject(
      'web',
      pods.map((pod) => ready(podAddress(pod))),
      { ports: ['http:8080/TCP'] },
    ),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

let network: ClusterNetwork;

before(async () => {
  network = await ClusterNetwork.up(3);
});
after(() => network[Symbol.asyncDispose]());

const realServers = (count: number): Promise<void> =>
  eventually(() => assert.equal(savedTable('node').filter((line) => line.startsWith('-a ')).length, count));

const onNode = async (node: string, work: () => Promise<void>): Promise<void> => {
  const daemon = new DaemonProcess(
    [`--source=${manifest}`, '--ipvs-min-sync-period=0s', `--hostname-override=${node}`],
    { namespace: 'node' },
  );
  try {
    await work();
  } finally {
    assert.equal(await daemon.stop(), 0, daemon.log);
    // As a restart of the machine leaves it.
    runLine('ip netns exec node ipvsadm -C');
  }
};

const ask = (count: number): readonly string[] => network.ask('client', 'tcp', vip, 80, count);

const timesOf = (answers: readonly string[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
};

for (const scheduler of ['rr', 'lc'])
  test(`the first requests of restarted nodes are spread over the pods (${scheduler})`, async () => {
    const firsts: string[] = [];
    for (const node of nodes) {
      program([1, 2, 3], scheduler);
      await onNode(node, async () => {
        await realServers(3);
        const answers = ask(6);
        firsts.push(answers[0] ?? '');
        if (scheduler === 'rr') {
          assert.deepEqual(timesOf(answers), { pod1: 2, pod2: 2, pod3: 2 });
          assert.deepEqual(answers.slice(3), answers.slice(0, 3));
        }
      });
    }
    assert.deepEqual(timesOf(firsts), { pod1: 2, pod2: 2, pod3: 2 });
  });

test('an endpoint that comes later gets its turn, and no other loses one', async () => {
  for (const node of nodes.slice(0, 3)) {
    program([1, 2]);
    await onNode(node, async () => {
      await realServers(2);
      assert.deepEqual(timesOf(ask(4)), { pod1: 2, pod2: 2 });
      program([1, 2, 3]);
      await realServers(3);
      const answers = ask(9);
      assert.deepEqual(timesOf(answers), { pod1: 3, pod2: 3, pod3: 3 });
      assert.deepEqual(answers.slice(3, 6), answers.slice(0, 3));
    });
  }
});
