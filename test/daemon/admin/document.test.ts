import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminDocument } from '../../support/admin-document.js';

test('docs/admin-api.md shows the response types of the admin socket', () => {
  const { present, wanted } = adminDocument();
  assert.equal(present, wanted, 'regenerate it: node build/test/support/admin-document.js');
  assert.match(present, /interface StatusResponse \{\n {2}version: 1;/);
});
