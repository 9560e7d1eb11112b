import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BrokenStream, JsonLines } from '../../../src/watch/api/json-lines.js';
import { ListSplitter } from '../../../src/watch/api/list-splitter.js';

/** Cuts bytes at the places given, however they fall. */
const cut = (bytes: Buffer, places: readonly number[]): Buffer[] => {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
};

const places = fc.array(fc.nat(10_000), { maxLength: 20 });
const values = fc.array(
  fc.jsonValue().filter((value) => value !== null),
  { maxLength: 8 },
);
const items = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 });

/** -0 is lost in JSON; what was sent is what JSON says. */
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('lines come out whole wherever the bytes are cut', () => {
  fc.assert(
    fc.property(values, places, (sent, cuts) => {
      const lines = new JsonLines();
      const bytes = Buffer.from(sent.map((value) => `${JSON.stringify(value)}\n`).join(''));
      const got = cut(bytes, cuts).flatMap((piece) => [...lines.push(piece)]);
      lines.finish();
      assert.deepEqual(got, asJson(sent));
    }),
  );
});

test('the items of a list come out whole wherever the bytes are cut, and so does the rest', () => {
  fc.assert(
    fc.property(items, places, fc.jsonValue(), fc.boolean(), (sent, cuts, other, indented) => {
      const list = {
        kind: 'items',
        nested: { items: [other] },
        items: sent,
        'it"ems': [1, other],
        metadata: { continue: 'x' },
      };
      const splitter = new ListSplitter();
      const bytes = Buffer.from(`${JSON.stringify(list, undefined, indented ? 2 : undefined)}\n`);
      const got = cut(bytes, cuts).flatMap((piece) => [...splitter.push(piece)]);
      assert.deepEqual(got, asJson(sent));
      assert.deepEqual(splitter.finish(), asJson({ ...list, items: [] }));
    }),
  );
});

test('a list without items, or with null, has none', () => {
  for (const text of ['{"metadata":{}}', '{"items":null,"metadata":{},"x":[{}]}']) {
    const splitter = new ListSplitter();
    assert.deepEqual([...splitter.push(Buffer.from(text))], []);
    assert.deepEqual(splitter.finish(), JSON.parse(text));
  }
});

test('what was whole before a broken line is not lost', () => {
  const got: unknown[] = [];
  assert.throws(() => {
    for (const value of new JsonLines().push(Buffer.from('{"a":1}\n{"b":\n'))) got.push(value);
  }, BrokenStream);
  assert.deepEqual(got, [{ a: 1 }]);
});

test('a stream that ends within a line or a list is broken', () => {
  const lines = new JsonLines();
  assert.deepEqual([...lines.push(Buffer.from('\n\n{"a":'))], []);
  assert.throws(() => lines.finish(), BrokenStream);
  for (const text of ['', '{"items":[{"a":1},', '{"items":[]', '{"items":[{"a":"']) {
    const splitter = new ListSplitter();
    for (const _ of splitter.push(Buffer.from(text)));
    assert.throws(() => splitter.finish(), BrokenStream, text);
  }
});

test('no more is kept of a line or an item than the limit', () => {
  const lines = new JsonLines(100);
  assert.throws(() => {
    for (let index = 0; index < 10; index += 1) for (const _ of lines.push(Buffer.alloc(20, 'x')));
  }, BrokenStream);
  const splitter = new ListSplitter(100);
  assert.throws(() => {
    for (const _ of splitter.push(Buffer.from('{"items":[{"a":"')));
    for (let index = 0; index < 10; index += 1) for (const _ of splitter.push(Buffer.alloc(20, 'x')));
  }, BrokenStream);
});

test('whatever the bytes are, nothing but a BrokenStream is thrown', () => {
  const nearly = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', '"items":[', '1', '\n', ':'))
      .map((parts) => Buffer.from(parts.join(''))),
  );
  const attempt = (read: () => void): void => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof BrokenStream)) throw error;
    }
  };
  fc.assert(
    fc.property(nearly, (bytes) => {
      for (const splitter of [new JsonLines(), new ListSplitter()])
        attempt(() => {
          for (const _ of splitter.push(Buffer.from(bytes)));
          splitter.finish();
        });
    }),
    { numRuns: 2_000 },
  );
});
