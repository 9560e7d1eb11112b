import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodePortUsage } from '../../../src/plan/render/node-port-usage.js';
import { cpuMilliseconds } from '../../support/cpu-time.js';

test('masqueraded connections use ports above the default node ports', () => {
  const use = new NodePortUsage();
  use.add([30_000, 32_767]);
  assert.deepEqual(use.masqueradePorts, { first: 32_768, last: 65_535 });
});

test('unusual node ports are avoided while they exist', () => {
  const use = new NodePortUsage();
  use.add([40_000, 40_000, 50_000]);
  assert.deepEqual(use.masqueradePorts, { first: 50_001, last: 65_535 });
  use.remove([50_000]);
  use.remove([40_000]);
  assert.deepEqual(use.masqueradePorts, { first: 40_001, last: 65_535 });
  use.remove([40_000]);
  assert.deepEqual(use.masqueradePorts, { first: 32_768, last: 65_535 });
});

test('if node ports are spread over all high ports, the low ports or the largest gap are used', () => {
  const use = new NodePortUsage();
  const every = (step: number, first: number, last: number): number[] =>
    Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => first + index * step);
  use.add(every(1_000, 32_768, 65_535));
  assert.deepEqual(use.masqueradePorts, { first: 1_024, last: 29_999 });
  use.add(every(500, 1_024, 29_999));
  const { first, last } = use.masqueradePorts;
  assert.equal(last - first + 1, 999);
});

test('thousands of Services with unusual node ports cost little each', () => {
  const use = new NodePortUsage();
  const started = cpuMilliseconds();
  for (let index = 0; index < 10_000; index += 1) use.add([32_768 + 3 * index]);
  assert.deepEqual(use.masqueradePorts, { first: 1_024, last: 29_999 });
  assert.ok(cpuMilliseconds() - started < 1_000);
});
