import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../../src/doctor/all-checks.js';
import { doctorDocument } from '../support/doctor-document.js';

test('deploy/DOCTOR.md tells of every check as it is', () => {
  const { present, wanted } = doctorDocument();
  assert.equal(present, wanted, 'write it anew: node build/test/support/doctor-document.js');
  for (const { id } of checks) assert.ok(present.includes(`| \`${id}\` |`), id);
});
