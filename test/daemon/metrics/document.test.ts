import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue } from '../../../src/daemon/metrics/catalogue.js';
import { metricsDocument } from '../../support/metrics-document.js';

test('docs/metrics.md describes every metric', async () => {
  const { present, wanted } = await metricsDocument();
  assert.equal(present, wanted, 'regenerate it: node build/test/support/metrics-document.js');
  for (const { name } of Object.values(catalogue)) assert.ok(present.includes(`\`${name}\``), name);
});
