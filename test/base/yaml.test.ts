import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { InputError } from '../../src/base/errors.js';
import { formatYaml, parseYaml } from '../../src/base/yaml.js';

test('several documents are read, with the line of every value', () => {
  const [first, second] = parseYaml('a: 1\n---\nb:\n  c: [x, y]\n');
  assert.deepEqual(first?.value, { a: 1 });
  assert.deepEqual(second?.value, { b: { c: ['x', 'y'] } });
  assert.equal(second?.line(['b', 'c', 1]), 4);
  assert.equal(second?.line(['b', 'missing']), 4);
});

test('JSON is read, with lines too', () => {
  const [document] = parseYaml('{\n  "a": {\n    "b": 7\n  }\n}');
  assert.deepEqual(document?.value, { a: { b: 7 } });
  assert.equal(document?.line(['a', 'b']), 3);
});

test('a key that stands twice is told with its line, and the last one counts', () => {
  for (const text of ['a: 1\nb: 2\na: 3\n', '{"a": 1,\n"b": 2,\n"a": 3}']) {
    const [document] = parseYaml(text);
    assert.deepEqual(document?.value, { a: 3, b: 2 });
    assert.deepEqual(document?.duplicateKeys(), [{ key: 'a', line: 3 }]);
  }
});

test('an empty text has no document, an empty document is null', () => {
  assert.deepEqual(parseYaml('').length, 0);
  assert.deepEqual(
    parseYaml('---\n# nothing\n').map((document) => document.value),
    [null],
  );
});

test('a text that is no YAML names the line', () => {
  assert.throws(
    () => parseYaml('a: 1\nb: [1, 2\nc: 3\n'),
    (error) => error instanceof InputError && error.message.startsWith('line 3: '),
  );
});

test('what is written is read back', () => {
  const value = { text: '10.0.0.1:80', list: [{ a: true }], empty: {} };
  assert.deepEqual(parseYaml(formatYaml(value))[0]?.value, value);
});

test('what is written is read as the same, by this reader and by older ones', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      // A key that the reader takes for more than a key is none that we ever write.
      fc.pre(!JSON.stringify(value).includes('"<<"') && !JSON.stringify(value).includes('__proto__'));
      assert.deepEqual(parseYaml(`---\n${formatYaml(value)}`)[0]?.value, JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 500 },
  );
  for (const text of [
    'no',
    '1e3',
    '0x1f',
    '1:30',
    '2024-01-01',
    '',
    ' a',
    'a: b',
    '- a',
    '#a',
    '12',
    '.5',
    '~',
  ])
    assert.equal(formatYaml(text), `${JSON.stringify(text)}\n`);
  for (const text of ['10.96.0.1', '1m30s', 'TCP 10.96.0.1:443', 'web-1', 'a/b:http', 'v1'])
    assert.equal(formatYaml(text), `${text}\n`);
  assert.equal(
    formatYaml({ a: [{ b: 1, c: [] }, [2, 'x']], d: {}, e: undefined }),
    'a:\n  - b: 1\n    c: []\n  - - 2\n    - x\nd: {}\n',
  );
});
