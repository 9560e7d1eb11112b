import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, afterEach, before, test } from 'node:test';
import { DrainLab, minute, pod, second, vip } from '../support/drain-lab.js';
import { local, ready, serviceObject, sliceObject } from '../support/objects.js';
import { main } from '../support/program.js';
import { elapse } from '../support/virtual-clock.js';

// Weights, and what they do to packets. The pods that they come from stand in the manifests.

const lab = new DrainLab();

before(() => lab.up());
afterEach(() => lab.clear());
after(() => lab.down());

interface WeightedPod {
  readonly weight?: number;
  readonly cpu?: string;
  readonly zone?: string;
}

const podObject = (number: number, { weight, cpu }: WeightedPod): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    namespace: 'default',
    name: `web-${number}`,
    annotations: weight === undefined ? {} : { 'ipvs.kube-ipvs.dev/weight': String(weight) },
  },
  spec: { containers: [{ name: 'web', resources: cpu === undefined ? {} : { requests: { cpu } } }] },
});

const node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'a' } },
};

/** A Service `web` with these weights and pods web-1, web-2, …; `endpoints`: how many of the pods are endpoints. */
const world = (
  by: string,
  pods: readonly WeightedPod[],
  scheduler?: string,
  endpoints = pods.length,
): readonly object[] => [
  node,
  serviceObject('web', {
    clusterIPs: [vip],
    ports: ['http:80/TCP'],
    annotations: {
      'ipvs.kube-ipvs.dev/weight-by': by,
      ...(scheduler === undefined ? {} : { 'ipvs.kube-ipvs.dev/scheduler': scheduler }),
    },
  }),
  sliceObject(
    'web',
    pods
      .slice(0, endpoints)
      .map(({ zone }, index) =>
        local(ready(pod(index + 1), { pod: `web-${index + 1}`, ...(zone === undefined ? {} : { zone }) })),
      ),
    { ports: ['http:8080/TCP'] },
  ),
  ...pods.map((weighted, index) => podObject(index + 1, weighted)),
];

const has = (scheduler: string, ...weights: readonly number[]): Promise<void> =>
  Promise.all([
    lab.holds(`-A -t ${vip}:80 -s ${scheduler}`),
    ...weights.map((weight, index) => lab.holds(`-a -t ${vip}:80 -r ${pod(index + 1)}:8080 -m -w ${weight}`)),
  ]).then(() => undefined);

/** How many of the requests each pod answers. */
const shares = (count: number): Readonly<Record<string, number>> => {
  const answers = lab.network.ask('client', 'tcp', vip, 80, count);
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
};

const kubeIpvs = (...args: readonly string[]): string => {
  const all = ['netns', 'exec', 'node', process.execPath, main, ...args, `--admin-socket=${lab.socket}`];
  const { stdout, stderr } = spawnSync('ip', all, { encoding: 'utf8' });
  return `${stdout}${stderr}`.replaceAll(/ +/g, ' ');
};

test('pods get connections by the weights of their annotations, also after a change', async () => {
  lab.program(world('pod', [{ weight: 30 }, { weight: 10 }]));
  await has('wrr', 30, 10);
  assert.deepEqual(shares(40), { pod1: 30, pod2: 10 });
  lab.program(world('pod', [{ weight: 10 }, { weight: 10 }]));
  await has('rr', 10, 10);
  assert.deepEqual(shares(40), { pod1: 20, pod2: 20 });
  assert.deepEqual((await lab.admin.plan()).operations, []);
});

test('pods get connections by their CPU requests', async () => {
  lab.program(world('cpu-request', [{ cpu: '250m' }, { cpu: '0.75' }]));
  await has('wrr', 25, 75);
  assert.deepEqual(shares(40), { pod1: 10, pod2: 30 });
});

test('pods in the zone of the node get ten times as many connections', async () => {
  lab.program(world('zone', [{ zone: 'a' }, { zone: 'b' }]));
  await has('wrr', 10, 1);
  assert.deepEqual(shares(44), { pod1: 40, pod2: 4 });
});

test('with weighted least connections, open connections are shared by weight', async () => {
  lab.program(world('pod', [{ weight: 3 }, { weight: 1 }], 'lc'));
  await has('wlc', 3, 1);
  const clients = [];
  for (let count = 0; count < 8; count += 1) clients.push(await lab.connect(vip, 80));
  const answered = clients.map(({ last }) => last).toSorted();
  assert.deepEqual(answered, [...Array<string>(6).fill('pod1'), ...Array<string>(2).fill('pod2')]);
});

test('a pod of weight 0 keeps its connections and gets no new ones, and drains when its endpoint goes', async () => {
  lab.program(world('pod', [{ weight: 1 }, { weight: 1 }]));
  await has('rr', 1, 1);
  const clients = [await lab.connect(vip, 80), await lab.connect(vip, 80)];
  const atSecond = clients.find(({ last }) => last === 'pod2');
  assert.ok(atSecond !== undefined);
  lab.program(world('pod', [{ weight: 1 }, { weight: 0 }]));
  await has('rr', 1, 0);
  assert.deepEqual(shares(10), { pod1: 10 });
  // Longer than between two checks of what drains: this real server does not drain.
  await elapse(30 * second);
  await has('rr', 1, 0);
  await lab.answers(atSecond);
  lab.program(world('pod', [{ weight: 1 }, { weight: 0 }], undefined, 1));
  await elapse(30 * second);
  await has('rr', 1, 0);
  await lab.answers(atSecond);
  await lab.leave();
  // IPVS remembers a closed connection for two minutes.
  await lab.isGone(`-r ${pod(2)}:8080`, 5 * minute);
  assert.deepEqual(shares(4), { pod1: 4 });
});

test('a weight that comes back uses the real server again', async () => {
  lab.program(world('pod', [{ weight: 1 }, { weight: 0 }]));
  await has('rr', 1, 0);
  lab.program(world('pod', [{ weight: 1 }, { weight: 1 }]));
  await has('rr', 1, 1);
  assert.deepEqual(shares(10), { pod1: 5, pod2: 5 });
});

test('a Service whose pods all have weight 0 refuses connections', async () => {
  lab.program(world('pod', [{ weight: 0 }, { weight: 0 }]));
  await has('rr', 0, 0);
  lab.isRefused(vip, 80);
});

test('with sh no client is rejected because its pod has weight 0, and large weights leave no pod out', async () => {
  const clients = ['client', 'node', 'pod1', 'pod2'] as const;
  lab.program(world('pod', [{ weight: 100 }, { weight: 0 }], 'sh'));
  await has('sh -b sh-fallback', 1, 0);
  for (const client of clients)
    assert.deepEqual(lab.network.ask(client, 'tcp', vip, 80, 2), ['pod1', 'pod1'], client);
  lab.program(world('pod', [{ weight: 1_000 }, { weight: 1_000 }], 'sh'));
  await has('sh', 1, 1);
  const answers = clients.map((client) => lab.network.ask(client, 'tcp', vip, 80, 1)[0]);
  assert.deepEqual(new Set(answers), new Set(['pod1', 'pod2']));
});

test('with mh no client is rejected because the weight of its pod becomes 0', async () => {
  lab.program(world('pod', [{ weight: 1 }, { weight: 1 }], 'mh'));
  await has('mh -b mh-port', 1, 1);
  lab.program(world('pod', [{ weight: 1 }, { weight: 0 }], 'mh'));
  await has('mh -b mh-fallback,mh-port', 1, 0);
  assert.deepEqual(shares(20), { pod1: 20 });
});

test('dump, explain and diff tell the weights and where each comes from', async () => {
  lab.program(world('pod', [{ weight: 30 }, {}]));
  await has('wrr', 30, 100);
  const dump = kubeIpvs('dump', '-o', 'wide');
  assert.match(dump, /WEIGHT FROM/);
  assert.match(dump, /10\.244\.0\.11:8080 default\/web-1 n1 masquerade 30 annotation of the pod/);
  assert.match(dump, /10\.244\.0\.12:8080 default\/web-2 n1 masquerade 100 pod without annotation/);
  const explained = kubeIpvs('explain', 'default/web');
  assert.match(explained, /weights by pod; wrr instead of rr, which ignores weights/);
  assert.match(explained, /10\.244\.0\.11:8080 .*weight 30: annotation of the pod/);
  assert.match(kubeIpvs('diff'), /no differences|in sync|nothing to/i);
});
