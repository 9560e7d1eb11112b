import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminDocument } from '../../support/admin-document.js';

test('deploy/ADMIN.md tells the answers of the admin socket as they are', () => {
  const { present, wanted } = adminDocument();
  assert.equal(present, wanted, 'write it anew: node build/test/support/admin-document.js');
  assert.match(present, /interface StatusResponse \{\n {2}version: 1;/);
});
