import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { logPage } from '../../../src/daemon/admin/log-page.js';
import { responseProblems } from '../../support/response-shapes.js';

/** A log of two records; notes what it is asked. */
const log = () => {
  const queries: object[] = [];
  const waits: (readonly [number, number])[] = [];
  return {
    queries,
    waits,
    keptSince: Date.parse('2026-11-23T02:00:00Z'),
    read: (query: object) => {
      queries.push(query);
      return {
        lastId: 8,
        records: [
          '{"id":7,"at":"2026-11-23T03:00:00.000Z","event":"started","details":["v1"]}',
          '{"id":8,"at":"2026-11-23T03:00:01.000Z","event":"changed","cause":"drift","op":"add","kind":"element","key":"IPv4 vips 10.96.0.1"}',
        ],
      };
    },
    waitForRecord: async (after: number, milliseconds: number) => {
      waits.push([after, milliseconds]);
    },
  };
};

const ask = async (
  query: string,
  of = log(),
): Promise<{ readonly status: number; readonly body: unknown }> => {
  const { status, body } = await logPage(new URLSearchParams(query), of);
  return { status, body: JSON.parse(body instanceof Readable ? await text(body) : body) as unknown };
};

test('the response has the records, the last id and since when records are kept', async () => {
  const { status, body } = await ask('');
  assert.equal(status, 200);
  assert.deepEqual(responseProblems('LogResponse', body), []);
  assert.deepEqual(body, {
    version: 1,
    keptSince: '2026-11-23T02:00:00.000Z',
    lastId: 8,
    records: [
      { id: 7, at: '2026-11-23T03:00:00.000Z', event: 'started', details: ['v1'] },
      {
        id: 8,
        at: '2026-11-23T03:00:01.000Z',
        event: 'changed',
        cause: 'drift',
        op: 'add',
        kind: 'element',
        key: 'IPv4 vips 10.96.0.1',
      },
    ],
  });
});

test('the query selects by Service, time and id, and waits as long as it says', async () => {
  const of = log();
  await ask('', of);
  await ask('service=shop%2Fweb&since=2026-11-23T03:00:00Z&after=7&wait=25', of);
  assert.deepEqual(of.queries, [
    { after: 0, since: 0, service: undefined },
    { after: 7, since: Date.parse('2026-11-23T03:00:00Z'), service: 'shop/web' },
  ]);
  assert.deepEqual(of.waits, [[7, 25_000]]);
});

test('a wrong query names its field and what is expected', async () => {
  for (const [query, error] of [
    ['after=x', 'after: "x" is not valid (expected the id of a record)'],
    ['after=-1', 'after: "-1" is not valid (expected the id of a record)'],
    ['wait=26', 'wait: "26" is not valid (expected a number of seconds, at most 25)'],
    ['since=soon', 'since: "soon" is not valid (expected a time such as 2026-11-23T10:00:00Z)'],
  ] as const)
    assert.deepEqual(await ask(query), { status: 400, body: { version: 1, error } }, query);
});
