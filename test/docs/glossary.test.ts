import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const page = readFileSync('docs/glossary.md', 'utf8');
const banned = (/<!-- banned -->\n([^]*?)<!-- end -->/.exec(page)?.[1] ?? '').trim().split(/,\s*/);

/** Code without comments and without the text of literals, except what a template evaluates. */
const withoutText = (source: string): string =>
  source
    .replaceAll(/\/\*[^]*?\*\/|(?<![:'"`\\])\/\/.*$/gm, ' ')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, ' ')
    .replaceAll(/`(?:[^`\\]|\\.)*`/g, (template) =>
      [...template.matchAll(/\$\{([^}]*)\}/g)].map(([, code = '']) => code).join(' '),
    );

const wordsOf = (identifier: string): readonly string[] =>
  identifier.split(/(?=[A-Z])|[^A-Za-z]/).map((word) => word.toLowerCase());

const identifiersIn = (source: string): readonly string[] =>
  withoutText(source).match(/[A-Za-z_$][\w$]*/g) ?? [];

const isBanned = (identifier: string): boolean => wordsOf(identifier).some((word) => banned.includes(word));

test('the glossary fits on a page', () => {
  const lines = page.trimEnd().split('\n').length;
  assert.ok(lines <= 70, `${lines} lines`);
});

test('no identifier and no file in src has a word that the glossary bans', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  assert.ok(banned.length > 5 && files.length > 200);
  const found = files.flatMap((name) =>
    [...identifiersIn(readFileSync(join('src', name), 'utf8')), ...name.replace(/\.ts$/, '').split(/[/-]/)]
      .filter(isBanned)
      .map((identifier) => `src/${name}: ${identifier}`),
  );
  assert.deepEqual([...new Set(found)], []);
});

test('that check reads the words of identifiers, and not of comments and texts', () => {
  const [word = ''] = banned;
  const capital = `${word[0]?.toUpperCase()}${word.slice(1)}`;
  const source = `const the${capital}Of = 1; // ${word}\nconst text = '${word}' + \`\${a${capital}} ${word}\`;`;
  assert.deepEqual(identifiersIn(source).filter(isBanned), [`the${capital}Of`, `a${capital}`]);
});
