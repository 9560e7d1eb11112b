import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { checkName, specs } from '../conformance/specs.js';

// docs/conformance.md names the test that covers each spec. The file must exist and contain a check of that name.

const checkFile = 'test/kernel/conformance.test.ts';
const page = readFileSync('docs/conformance.md', 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| ') && line.includes('`test/'));
const named = rows.flatMap((row) =>
  [...row.matchAll(/`(test\/[^`]+)`: `([^`]+)`/g)].map(([, file = '', name = '']) => ({ file, name })),
);

test('every test that the page names exists', () => {
  assert.ok(named.length > 120, `only ${named.length}`);
  const checks = new Set(specs.map(checkName));
  for (const { file, name } of named) {
    assert.ok(existsSync(file), file);
    const exists = file === checkFile ? checks.has(name) : readFileSync(file, 'utf8').includes(name);
    assert.ok(exists, `${file} has no check "${name}"`);
  }
});

test('the page has every check that is named after a spec', () => {
  const inPage = new Set(named.filter(({ file }) => file === checkFile).map(({ name }) => name));
  assert.deepEqual(
    specs.map(checkName).filter((name) => !inPage.has(name)),
    [],
  );
});

test('no spec is listed twice', () => {
  const listed = page
    .split('\n')
    .flatMap((line) => /^\| (.+?) \| (?:`test|nothing|the real)/.exec(line)?.[1] ?? []);
  assert.ok(listed.length > 100, `only ${listed.length}`);
  assert.deepEqual(
    listed.filter((name, index) => listed.indexOf(name) !== index),
    [],
  );
});
