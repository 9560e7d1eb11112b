import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodePortUsage } from '../../../src/plan/render/node-port-usage.js';
import { cpuMilliseconds } from '../../support/cpu-time.js';

const below = { first: 1_024, last: 29_999 };
const above = { first: 32_768, last: 65_535 };

test('masqueraded connections use all ports from 1024 on except the default node ports', () => {
  const use = new NodePortUsage();
  use.add([30_000, 32_767, 80, 1_023]);
  assert.deepEqual(use.masqueradePorts, [below, above]);
});

test('unusual node ports are avoided while they exist', () => {
  const use = new NodePortUsage();
  use.add([60_000, 60_000, 8_080]);
  assert.deepEqual(use.masqueradePorts, [
    { first: 8_081, last: 29_999 },
    { first: 32_768, last: 59_999 },
  ]);
  use.remove([8_080]);
  use.remove([60_000]);
  assert.deepEqual(use.masqueradePorts, [below, { first: 32_768, last: 59_999 }]);
  use.remove([60_000]);
  assert.deepEqual(use.masqueradePorts, [below, above]);
});

test('of many gaps between node ports, the two largest are used', () => {
  const use = new NodePortUsage();
  use.add([40_000]);
  assert.deepEqual(use.masqueradePorts, [below, { first: 40_001, last: 65_535 }]);
  use.add([1_024, 29_999, 10_000]);
  assert.deepEqual(use.masqueradePorts, [
    { first: 10_001, last: 29_998 },
    { first: 40_001, last: 65_535 },
  ]);
  use.add(Array.from({ length: 65_536 - 32_768 }, (_, index) => 32_768 + index));
  assert.deepEqual(use.masqueradePorts, [
    { first: 1_025, last: 9_999 },
    { first: 10_001, last: 29_998 },
  ]);
});

test('thousands of Services with unusual node ports cost little each', () => {
  const use = new NodePortUsage();
  const started = cpuMilliseconds();
  for (let index = 0; index < 10_000; index += 1) use.add([32_768 + 3 * index]);
  assert.deepEqual(use.masqueradePorts[0], below);
  assert.ok(cpuMilliseconds() - started < 1_000);
});
