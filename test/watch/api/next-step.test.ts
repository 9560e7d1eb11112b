import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  nextStep,
  initialResumePoint,
  type NextStep,
  type ResumePoint,
  type StreamEnd,
} from '../../../src/watch/api/next-step.js';

const refused = (
  status: number,
  other: Partial<Extract<StreamEnd, { cause: 'refused' }>> = {},
): StreamEnd => ({
  cause: 'refused',
  status,
  tooLargeVersion: false,
  retryAfterSeconds: undefined,
  begun: false,
  ...other,
});

const listing = initialResumePoint;
const paging: ResumePoint = { ...initialResumePoint, lister: 'pages' };
const watching: ResumePoint = { ...initialResumePoint, version: '7' };

const anew: Partial<ResumePoint> = { version: undefined, freshness: 'latest', brokenStreams: 0 };

const rows: readonly [
  from: ResumePoint,
  stop: StreamEnd,
  to: Partial<ResumePoint>,
  pause: NextStep['pause'],
][] = [
  // A streaming list
  [listing, refused(422), { lister: 'pages' }, 'none'],
  [listing, refused(400), { lister: 'pages' }, 'none'],
  [listing, { cause: 'unsupported' }, { lister: 'pages' }, 'none'],
  [listing, { cause: 'ended', life: 'normal' }, { lister: 'pages' }, 'none'],
  [listing, { cause: 'silence', begun: true }, { lister: 'pages' }, 'misbehaving'],
  [listing, { cause: 'silence', begun: false }, {}, 'unreachable'],
  [listing, refused(401), {}, 'denied'],
  [listing, refused(403), {}, 'denied'],
  [listing, refused(404), {}, 'denied'],
  [listing, refused(429), {}, 'unavailable'],
  [listing, refused(429, { retryAfterSeconds: 3 }), {}, { seconds: 3 }],
  [listing, refused(500), {}, 'unavailable'],
  [listing, refused(503), {}, 'unavailable'],
  [listing, refused(500, { begun: true }), {}, 'misbehaving'],
  [listing, refused(504, { tooLargeVersion: true, retryAfterSeconds: 1 }), anew, { seconds: 1 }],
  [listing, refused(410), anew, 'misbehaving'],
  [listing, { cause: 'connection', begun: false }, {}, 'unreachable'],
  [listing, { cause: 'connection', begun: true }, {}, 'misbehaving'],
  [listing, { cause: 'broken' }, {}, 'misbehaving'],
  // A list in pages
  [paging, refused(410), anew, 'misbehaving'],
  [paging, refused(400), anew, 'misbehaving'],
  [paging, refused(403), {}, 'denied'],
  [paging, refused(504, { tooLargeVersion: true }), anew, 'misbehaving'],
  [paging, refused(503, { retryAfterSeconds: 2 }), {}, { seconds: 2 }],
  [paging, { cause: 'connection', begun: false }, {}, 'unreachable'],
  [paging, { cause: 'connection', begun: true }, {}, 'misbehaving'],
  [paging, { cause: 'silence', begun: false }, {}, 'unreachable'],
  [paging, { cause: 'silence', begun: true }, {}, 'misbehaving'],
  [paging, { cause: 'broken' }, {}, 'misbehaving'],
  // A watch
  [watching, { cause: 'ended', life: 'normal' }, {}, 'none'],
  [watching, { cause: 'ended', life: 'early' }, {}, 'unavailable'],
  [watching, { cause: 'ended', life: 'mute' }, anew, 'expired'],
  [watching, { cause: 'connection', begun: false }, {}, 'unreachable'],
  [watching, { cause: 'connection', begun: true }, {}, 'unavailable'],
  [watching, { cause: 'silence', begun: false }, {}, 'unreachable'],
  [watching, { cause: 'silence', begun: true }, {}, 'unavailable'],
  [watching, refused(401), {}, 'denied'],
  [watching, refused(403), {}, 'denied'],
  [watching, refused(500), {}, 'unavailable'],
  [watching, refused(502), {}, 'unavailable'],
  [watching, refused(429, { retryAfterSeconds: 9 }), {}, { seconds: 9 }],
  [watching, refused(410), anew, 'expired'],
  [watching, refused(410, { begun: true }), anew, 'expired'],
  [watching, refused(400), anew, 'misbehaving'],
  [watching, refused(504, { tooLargeVersion: true }), anew, 'expired'],
  [watching, refused(504), {}, 'unavailable'],
  [watching, { cause: 'broken' }, { brokenStreams: 1 }, 'misbehaving'],
  [{ ...watching, brokenStreams: 1 }, { cause: 'broken' }, { brokenStreams: 2 }, 'misbehaving'],
  [{ ...watching, brokenStreams: 2 }, { cause: 'broken' }, anew, 'misbehaving'],
  [
    { ...watching, brokenStreams: 2 },
    { cause: 'connection', begun: true },
    { brokenStreams: 0 },
    'unavailable',
  ],
];

for (const [from, stop, to, pause] of rows) {
  const state =
    from.version === undefined ? `listing by ${from.lister}` : `watching (${from.brokenStreams} broken)`;
  test(`${state}, ${JSON.stringify(stop)} → ${JSON.stringify(to)}, pause ${JSON.stringify(pause)}`, () =>
    assert.deepEqual(nextStep(from, stop), { resumePoint: { ...from, ...to }, pause }));
}
