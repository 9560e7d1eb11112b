// lab: -m 1G
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RandomModel } from '../soak/random-model.js';
import { seed } from '../support/seed.js';

// The short form of `scripts/soak --model STEPS`. KUBE_IPVS_SEED repeats the choices of a run, KUBE_IPVS_MODEL_STEPS says how long
// it is.

const steps = Number(process.env['KUBE_IPVS_MODEL_STEPS'] ?? 400);

test(`${steps} random steps: what is wanted is there in the end, and what is others' as it was`, async () => {
  const unhandled: unknown[] = [];
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
  {
    await using model = new RandomModel(seed);
    console.log(Object.fromEntries(await model.run(steps)));
  }
  assert.deepEqual(unhandled, []);
});
