import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const markdownIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));

const docs = markdownIn('docs');
const pages: readonly string[] = [
  ...markdownIn('.'),
  ...docs,
  ...markdownIn('docs/install'),
  ...markdownIn('deploy'),
];

const withoutCode = (text: string): string =>
  text.replaceAll(/^```[^]*?^```$/gm, '').replaceAll(/^ {4}.*$/gm, '');

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

const anchorsIn = (file: string): readonly string[] =>
  [...withoutCode(readFileSync(file, 'utf8')).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    anchorOf(heading),
  );

const linksIn = (page: string): readonly string[] =>
  [...withoutCode(readFileSync(page, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);

/** What is wrong with a link of a page; undefined if it leads to a file, and to a heading if it names one. */
const flawOf = (page: string, link: string): string | undefined => {
  const [path = '', anchor] = link.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(file)) return `${page}: ${link}: no such file`;
  if (anchor !== undefined && !anchorsIn(file).includes(anchor)) return `${page}: ${link}: no such heading`;
  return undefined;
};

test('every link between pages leads to a file, and to a heading', () => {
  const links = pages.flatMap((page) =>
    linksIn(page)
      .filter((link) => !link.startsWith('https://'))
      .map((link) => ({ page, link })),
  );
  assert.ok(links.length > 30, `only ${links.length}`);
  assert.deepEqual(
    links.flatMap(({ page, link }) => flawOf(page, link) ?? []),
    [],
  );
});

test('that check finds a missing file and a missing heading', () => {
  assert.equal(flawOf('README.md', 'docs/nowhere.md'), 'README.md: docs/nowhere.md: no such file');
  assert.equal(
    flawOf('docs/traffic.md', 'serving.md#nothing'),
    'docs/traffic.md: serving.md#nothing: no such heading',
  );
  assert.equal(flawOf('docs/traffic.md', 'serving.md#draining'), undefined);
});

test('README links every page of docs/', () => {
  const linked = linksIn('README.md');
  assert.deepEqual(
    docs.filter((page) => !linked.includes(page)),
    [],
  );
});

test('every path of this repository that a page names exists', () => {
  const named = pages.flatMap((page) =>
    [
      ...readFileSync(page, 'utf8').matchAll(
        /(?<![\w/-])(?:\.\/)?((?:src|test|scripts|deploy|docs|examples|native-shims|\.ci)\/[\w./-]*\w)/g,
      ),
    ].map(([, path = '']) => ({ page, path })),
  );
  assert.ok(named.length > 200, `only ${named.length}`);
  assert.deepEqual(
    named.filter(({ path }) => !existsSync(path)).map(({ page, path }) => `${page}: ${path}`),
    [],
  );
});

test('every page that sources, scripts and tests name exists', () => {
  const files = ['src', 'scripts', 'test'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(folder, name)).isFile())
      .map((name) => join(folder, name)),
  );
  const named = files
    .filter((file) => !file.startsWith('test/docs/'))
    .flatMap((file) =>
      (readFileSync(file, 'utf8').match(/\b(?:docs|deploy)\/[\w-]+\.md\b/g) ?? []).map((page) => ({
        file,
        page,
      })),
    );
  assert.ok(named.length > 20, `only ${named.length}`);
  assert.deepEqual(
    named.filter(({ page }) => !existsSync(page)).map(({ file, page }) => `${file}: ${page}`),
    [],
  );
});
