import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainDocument } from '../../support/explain-document.js';

test('docs/explain.md describes every check', () => {
  const { present, wanted } = explainDocument();
  assert.equal(present, wanted, 'regenerate it: node build/test/support/explain-document.js');
  assert.match(present, /\| `kernel` \| `virtual-servers` \|/);
});
