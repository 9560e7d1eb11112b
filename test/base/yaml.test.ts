import assert from 'node:assert/strict';
import { test } from 'node:test';
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
