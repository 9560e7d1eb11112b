import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  nextStep,
  startPosition,
  type NextStep,
  type Position,
  type Stop,
} from '../../src/watch/next-step.js';

const refused = (status: number, other: Partial<Extract<Stop, { cause: 'refused' }>> = {}): Stop => ({
  cause: 'refused',
  status,
  tooLargeVersion: false,
  retryAfterSeconds: undefined,
  ...other,
});

const listing = startPosition;
const paging: Position = { ...startPosition, lister: 'pages' };
const watching: Position = { ...startPosition, version: '7' };

const anew: Partial<Position> = { version: undefined, freshness: 'latest', broken: 0 };

const rows: readonly [from: Position, stop: Stop, to: Partial<Position>, pause: NextStep['pause']][] = [
  // A streaming list
  [listing, refused(422), { lister: 'pages' }, 'none'],
  [listing, refused(400), { lister: 'pages' }, 'none'],
  [listing, { cause: 'unsupported' }, { lister: 'pages' }, 'none'],
  [listing, { cause: 'ended', life: 'normal' }, { lister: 'pages' }, 'none'],
  [listing, { cause: 'silence' }, { lister: 'pages' }, 'backoff'],
  [listing, refused(401), {}, 'backoff'],
  [listing, refused(403), {}, 'backoff'],
  [listing, refused(404), {}, 'backoff'],
  [listing, refused(429, { retryAfterSeconds: 3 }), {}, { seconds: 3 }],
  [listing, refused(500), {}, 'backoff'],
  [listing, refused(504, { tooLargeVersion: true, retryAfterSeconds: 1 }), anew, { seconds: 1 }],
  [listing, refused(410), anew, 'backoff'],
  [listing, { cause: 'connection' }, {}, 'backoff'],
  [listing, { cause: 'broken' }, {}, 'backoff'],
  // A list in pages
  [paging, refused(410), anew, 'backoff'],
  [paging, refused(400), anew, 'backoff'],
  [paging, refused(504, { tooLargeVersion: true }), anew, 'backoff'],
  [paging, refused(503, { retryAfterSeconds: 2 }), {}, { seconds: 2 }],
  [paging, { cause: 'connection' }, {}, 'backoff'],
  [paging, { cause: 'silence' }, {}, 'backoff'],
  [paging, { cause: 'broken' }, {}, 'backoff'],
  // A watch
  [watching, { cause: 'ended', life: 'normal' }, {}, 'none'],
  [watching, { cause: 'ended', life: 'early' }, {}, 'backoff'],
  [watching, { cause: 'ended', life: 'mute' }, anew, 'backoff'],
  [watching, { cause: 'connection' }, {}, 'backoff'],
  [watching, { cause: 'silence' }, {}, 'backoff'],
  [watching, refused(500), {}, 'backoff'],
  [watching, refused(429, { retryAfterSeconds: 9 }), {}, { seconds: 9 }],
  [watching, refused(410), anew, 'relist'],
  [watching, refused(400), anew, 'backoff'],
  [watching, refused(504, { tooLargeVersion: true }), anew, 'relist'],
  [watching, refused(504), {}, 'backoff'],
  [watching, { cause: 'broken' }, { broken: 1 }, 'backoff'],
  [{ ...watching, broken: 1 }, { cause: 'broken' }, { broken: 2 }, 'backoff'],
  [{ ...watching, broken: 2 }, { cause: 'broken' }, anew, 'backoff'],
  [{ ...watching, broken: 2 }, { cause: 'connection' }, { broken: 0 }, 'backoff'],
];

for (const [from, stop, to, pause] of rows) {
  const state = from.version === undefined ? `listing by ${from.lister}` : `watching (${from.broken} broken)`;
  test(`${state}, ${JSON.stringify(stop)} → ${JSON.stringify(to)}, pause ${JSON.stringify(pause)}`, () =>
    assert.deepEqual(nextStep(from, stop), { position: { ...from, ...to }, pause }));
}
