import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainDocument } from '../../support/explain-document.js';

test('deploy/EXPLAIN.md tells of every judgement as it is', () => {
  const { present, wanted } = explainDocument();
  assert.equal(present, wanted, 'write it anew: node build/test/support/explain-document.js');
  assert.match(present, /\| `kernel` \| `virtual-servers` \|/);
});
