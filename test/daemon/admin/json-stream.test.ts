import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { listsResponse } from '../../../src/daemon/admin/json-stream.js';

test('an answer that is written list by list says what it would say as a whole', async () => {
  const lists = {
    version: 1,
    name: 'a"b',
    none: [],
    some: [{ a: [1] }, 'x', 2],
    inner: { list: [1, 2] },
    yes: true,
  };
  const { body } = listsResponse({ ...lists, absent: undefined });
  assert.ok(body instanceof Readable);
  assert.deepEqual(JSON.parse(await text(body)), lists);
});
