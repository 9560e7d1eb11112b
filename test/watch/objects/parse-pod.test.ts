import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyFormat } from '../../../src/watch/api/body-format.js';
import { toPod } from '../../../src/watch/objects/parse-pod.js';
import { encodeEvent, protobufType } from '../../support/api-protobuf.js';
import { samplePod } from '../../support/api-samples.js';

const pod = (spec: object, annotations: object = {}, status: object = {}) =>
  toPod({ metadata: { namespace: 'shop', name: 'web-1', annotations }, spec, status });

const weighted = (weight: string) => pod({}, { 'ipvs.kube-ipvs.dev/weight': weight });

test('a whole number from 0 to 65535 is a weight, anything else is reported', () => {
  for (const [text, weight] of [
    ['0', 0],
    ['65535', 65_535],
    [' 7 ', 7],
  ] as const)
    assert.deepEqual(weighted(text), {
      key: 'shop/web-1',
      value: { weight, cpuRequest: undefined },
      problems: [],
    });
  for (const text of ['', '-1', '65536', '1.5', '1e3', 'many', '0x10'])
    assert.deepEqual(weighted(text), {
      key: 'shop/web-1',
      value: { weight: undefined, cpuRequest: undefined },
      problems: [
        `metadata.annotations[ipvs.kube-ipvs.dev/weight]: ${JSON.stringify(text)} is not a whole number from 0 to 65535; it counts as absent`,
      ],
    });
});

const requests = (cpu: unknown) => ({ resources: { requests: { cpu } } });
const cpuRequest = (spec: object): number | undefined => pod(spec).value?.cpuRequest;

test('the CPU request of a pod is the sum of its containers, sidecars included', () => {
  assert.equal(cpuRequest({}), undefined);
  assert.equal(cpuRequest({ containers: [{}, { resources: { requests: { memory: '1Gi' } } }] }), undefined);
  assert.equal(cpuRequest({ containers: [requests('250m'), requests(1)] }), 1_250);
  const initContainers = [{ ...requests('2'), restartPolicy: 'Always' }, requests('8')];
  assert.equal(cpuRequest({ containers: [requests('0.1')], initContainers }), 2_100);
});

test('a request of the pod itself takes the place of those of its containers', () => {
  assert.equal(cpuRequest({ ...requests('500m'), containers: [requests('100m')] }), 500);
});

test('a request that is no quantity is reported with its field, and left out', () => {
  const { value, problems } = pod({ containers: [requests('100m'), requests('much')] });
  assert.equal(value?.cpuRequest, 100);
  assert.deepEqual(problems, [
    'spec.containers[1].resources.requests.cpu: "much" is not a quantity; it counts as absent',
  ]);
});

test('a pod that has ended is no pod', () => {
  for (const phase of ['Succeeded', 'Failed']) assert.equal(pod({}, {}, { phase }).value, undefined);
});

test('pods with equal values share one object', () => {
  assert.equal(weighted('5').value, weighted('5').value);
});

test('protobuf and JSON give the same pod', () => {
  const object = samplePod('shop/web-1', { weight: '5', requests: ['250m', '1'] });
  const splitter = bodyFormat(`${protobufType};stream=watch`).events();
  const [event] = splitter.push(encodeEvent({ type: 'ADDED', object }));
  const expected = toPod(object);
  assert.deepEqual(expected.value, { weight: 5, cpuRequest: 1_250 });
  assert.deepEqual(toPod((event as { readonly object: unknown }).object), expected);
});

test('protobuf gives the requests of sidecars and of the pod itself', () => {
  const object = samplePod('web-1', { requests: ['100m'] });
  const spec = (more: object) => ({ ...object, spec: { ...(object['spec'] as object), ...more } });
  for (const more of [
    { initContainers: [{ name: 'mesh', image: 'm', restartPolicy: 'Always', ...requests('50m') }] },
    { ...requests('2') },
  ]) {
    const splitter = bodyFormat(`${protobufType};stream=watch`).events();
    const [event] = splitter.push(encodeEvent({ type: 'ADDED', object: spec(more) }));
    const { value } = toPod((event as { readonly object: unknown }).object);
    assert.deepEqual(value, toPod(spec(more)).value);
    assert.notEqual(value?.cpuRequest, 100);
  }
});
