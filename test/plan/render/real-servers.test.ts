import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../../src/model/pod.js';
import type { Fragment } from '../../../src/plan/render/fragment.js';
import { render } from '../../../src/plan/render/render.js';
import { renderContext, type RenderSettings } from '../../../src/plan/render/render-context.js';
import {
  nodeFacts,
  ready,
  local,
  service,
  settings,
  slice,
  type ServiceSpec,
} from '../../support/objects.js';

const vip = '10.96.0.10';
const annotation = (name: string): string => `ipvs.kube-ipvs.dev/${name}`;

/** Renders a Service `web` with an endpoint for each weight, behind the pods p0, p1, …. */
const rendered = (
  weights: readonly (number | undefined)[],
  fields: ServiceSpec = {},
  changes: Partial<RenderSettings> = {},
  node = nodeFacts(),
): Fragment => {
  const pods = new Map<string, Pod>(
    weights.map((weight, index) => [`default/p${index}`, { weight, cpuRequest: undefined }]),
  );
  const endpoints = weights.map((_, index) => local(ready(`10.244.0.${11 + index}`, { pod: `p${index}` })));
  const context = renderContext(node, settings(changes), (key) => pods.get(key));
  return render(
    service('web', { clusterIP: vip, annotations: { [annotation('weight-by')]: 'pod' }, ...fields }),
    [slice('web', endpoints)],
    context,
  );
};

/** `wrr 10 100`: scheduler, flags and the weights in the order of the addresses. */
const table = ({ virtualServers }: Fragment): string => {
  const [entry] = virtualServers.values();
  const servers = [...(entry?.realServers.values() ?? [])].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return [
    entry?.server.scheduler,
    ...(entry?.server.flags ?? []),
    ...servers.map(({ weight }) => weight),
  ].join(' ');
};

test('a scheduler that ignores weights is replaced where they differ, and only there', () => {
  assert.equal(table(rendered([10, undefined, 100])), 'wrr 10 100 100');
  assert.equal(table(rendered([undefined, undefined])), 'rr 100 100');
  assert.equal(table(rendered([0, undefined])), 'rr 0 100');
  const lc = {
    clusterIP: vip,
    annotations: { [annotation('weight-by')]: 'pod', [annotation('scheduler')]: 'lc' },
  };
  assert.equal(table(rendered([1, 2], lc)), 'wlc 1 2');
  for (const scheduler of ['wrr', 'wlc', 'sed', 'nq', 'fo', 'ovf', 'twos', 'lblc', 'lblcr'])
    assert.equal(table(rendered([1, 2], {}, { scheduler })), `${scheduler} 1 2`);
});

test('sh gets the smallest weights of the same ratio, and sends clients of weight 0 elsewhere', () => {
  assert.equal(table(rendered([100, 100, 50], {}, { scheduler: 'sh' })), 'sh 2 2 1');
  assert.equal(table(rendered([100, 0], {}, { scheduler: 'sh' })), 'sh sh-fallback 1 0');
});

test('mh sends clients of weight 0 elsewhere, and dh gets no real server of weight 0', () => {
  assert.equal(table(rendered([100, 0], {}, { scheduler: 'mh' })), 'mh mh-fallback mh-port 100 0');
  assert.equal(table(rendered([100, 0], {}, { scheduler: 'dh' })), 'dh 100');
});

test('slow start multiplies the weights of pods, up to the largest weight, and not those of sh', () => {
  const pace = { slowStartMilliseconds: 30_000, quarantineMilliseconds: 0 };
  assert.equal(table(rendered([0, 5, undefined], {}, { pace })), 'wrr 0 50 1000');
  assert.equal(table(rendered([undefined, undefined], {}, { pace })), 'wrr 1000 1000');
  assert.equal(table(rendered([6_553, 65_535], {}, { pace })), 'wrr 65530 65535');
  assert.equal(table(rendered([50, 100], {}, { pace, scheduler: 'sh' })), 'sh 1 2');
});

test('a quarantine keeps the weights of pods, and adds the fallback to other flags', () => {
  const pace = { slowStartMilliseconds: 0, quarantineMilliseconds: 30_000 };
  assert.equal(table(rendered([5, 7], {}, { pace })), 'wrr 5 7');
  assert.equal(table(rendered([50, 100], {}, { pace, scheduler: 'sh' })), 'sh sh-fallback 1 2');
  assert.equal(table(rendered([50, 100], {}, { pace, scheduler: 'mh' })), 'mh mh-fallback mh-port 50 100');
});

const classOf = ({ virtualServers }: Fragment): string | undefined =>
  [...virtualServers.values()][0]?.setElements[0]?.set;

test('a Service whose endpoints all have weight 0 is refused like one without endpoints', () => {
  assert.equal(classOf(rendered([0, 0])), 'no-endpoints');
  assert.equal(classOf(rendered([0, 1])), 'cluster-ip');
});

test('load balancers do not count local endpoints of weight 0', () => {
  const fields = {
    clusterIP: vip,
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31_000,
  };
  assert.deepEqual(rendered([0, 1, 2], fields).healthCheck?.localEndpoints, { IPv4: 2 });
  assert.deepEqual(rendered([0, 0], fields).healthCheck?.localEndpoints, { IPv4: 0 });
});

test('the annotation of a Service goes before the configuration, and an invalid one is reported', () => {
  const without = { clusterIP: vip, annotations: {} };
  assert.equal(table(rendered([1, 2], without)), 'rr 1 1');
  assert.equal(table(rendered([1, 2], without, { weightBy: 'pod' })), 'wrr 1 2');
  const none = { clusterIP: vip, annotations: { [annotation('weight-by')]: 'none' } };
  assert.equal(table(rendered([1, 2], none, { weightBy: 'pod' })), 'rr 1 1');
  const wrong = rendered([1, 2], { clusterIP: vip, annotations: { [annotation('weight-by')]: 'pods' } });
  assert.equal(table(wrong), 'rr 1 1');
  assert.deepEqual(
    wrong.problems.map(({ reason, message }) => [reason, message]),
    [
      [
        'InvalidWeightBy',
        'default/web: metadata.annotations[ipvs.kube-ipvs.dev/weight-by]: "pods" is not valid (expected one of none, pod, cpu-request, zone); none is used instead',
      ],
    ],
  );
});

/** The address that the kernel's list begins with after all real servers of a new virtual server were added. */
const firstOn = (node: string, size: number, scheduler: string): string => {
  const fragment = rendered(
    Array<undefined>(size).fill(undefined),
    {},
    { scheduler },
    nodeFacts([], '', node),
  );
  const [entry] = fragment.virtualServers.values();
  return [...(entry?.realServers.keys() ?? [])].at(-1) ?? '';
};

const nodes = Array.from({ length: 1_000 }, (_, index) => `worker-${index}.example.org`);

test('nodes begin with different endpoints, spread fairly', () => {
  for (const scheduler of ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq'])
    for (const size of [2, 3, 7, 10]) {
      const counts = new Map<string, number>();
      for (const node of nodes) {
        const first = firstOn(node, size, scheduler);
        counts.set(first, (counts.get(first) ?? 0) + 1);
      }
      const fair = nodes.length / size;
      assert.equal(counts.size, size);
      // Within five standard deviations of what a fair die gives.
      const deviation = Math.sqrt(fair * (1 - 1 / size));
      for (const count of counts.values())
        assert.ok(Math.abs(count - fair) < 5 * deviation, `${size}: ${count}`);
    }
});

test('schedulers that compute their choice from the order of the list get the same order on every node', () => {
  for (const scheduler of ['sh', 'dh', 'mh', 'fo', 'ovf', 'lblc', 'lblcr', 'twos'])
    assert.equal(new Set(nodes.slice(0, 20).map((node) => firstOn(node, 5, scheduler))).size, 1, scheduler);
});
