import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../../src/doctor/all-checks.js';
import { doctorDocument } from '../support/doctor-document.js';

test('docs/doctor.md describes every check', () => {
  const { present, wanted } = doctorDocument();
  assert.equal(present, wanted, 'regenerate it: node build/test/support/doctor-document.js');
  for (const { id } of checks) assert.ok(present.includes(`| \`${id}\` |`), id);
});
