import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

// The standard for English, as far as a pattern can hold it.

const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && !/\.(?:json|png)$/.test(path));

const texts = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...['docs', 'deploy', 'scripts', '.ci', '.github', 'examples'].flatMap(filesBelow),
];

/** Tables and outputs that are generated from src; as empty lines. */
const generated = /(?<=<!-- (?:checks|responses|tour:[^>]*) -->\n)[^]*?(?=<!-- end[^>]*-->)/g;

const matchesIn = (file: string, pattern: RegExp): readonly string[] =>
  readFileSync(file, 'utf8')
    .replaceAll(generated, (text) => text.replaceAll(/[^\n]/g, ''))
    .split('\n')
    .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : []));

test('pages, manifests and scripts name the actor', () => {
  const vague = /\b(?:somebody|nobody|whoever|of its own|of their own)\b/i;
  assert.deepEqual(
    texts.flatMap((file) => matchesIn(file, vague)),
    [],
  );
});

test('lines of pages have at most 100 columns, except tables and what commands print', () => {
  const pages = texts.filter((file) => file.endsWith('.md'));
  const tooLong = /^(?!\||<!--| {4}).{101,}$/u;
  assert.ok(pages.length > 12);
  assert.deepEqual(
    pages.flatMap((file) => matchesIn(file, tooLong)),
    [],
  );
});
