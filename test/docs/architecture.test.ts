import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const page = readFileSync('docs/architecture.md', 'utf8');
const rules = readFileSync('test/architecture.test.ts', 'utf8');

const byFolder = (entries: readonly (readonly [string, readonly string[]])[]) =>
  Object.fromEntries(entries.map(([folder, others]) => [folder, others.toSorted()]));

const inPage = byFolder(
  [...page.matchAll(/^\| `(src\/[\w-]+|native-shims)` \| .* \| (.*)\|$/gm)].map(
    ([, folder = '', others = '']) => [folder, others.split(',').flatMap((name) => name.trim() || [])],
  ),
);

/** The table `mayImport`. */
const inRules = byFolder(
  [...rules.matchAll(/^ {2}'?(src\/[\w-]+|native-shims)'?: \[([^\]]*)\],$/gm)]
    .filter(([, folder = '']) => !folder.includes('.'))
    .map(([, folder = '', others = '']) => [
      folder,
      [...others.matchAll(/'(?:src\/)?([\w-]+)'/g)].map(([, name = '']) => name),
    ]),
);

test('docs/architecture.md lists the folders, and the imports that the architecture test allows', () => {
  assert.ok(Object.keys(inRules).length > 10);
  assert.deepEqual(inPage, inRules);
});

test('docs/architecture.md fits on a page', () => {
  const lines = page.trimEnd().split('\n').length;
  assert.ok(lines <= 100, `${lines} lines`);
});
