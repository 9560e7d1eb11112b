import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WatchLiveness } from '../../../src/watch/api/watch-liveness.js';

test('a server with a bookmark a minute may be silent for two and a half, one without bookmarks for ever', () => {
  const liveness = new WatchLiveness({ bookmark: 150_000 });
  liveness.begin();
  assert.equal(liveness.idleLimit, Infinity);
  liveness.bookmark(1_000);
  assert.equal(liveness.idleLimit, Infinity);
  liveness.bookmark(61_000);
  assert.equal(liveness.idleLimit, 150_000);
  liveness.bookmark(161_000);
  assert.equal(liveness.idleLimit, 250_000);
});

test('what lies between the bookmarks of two streams says nothing, and after a silence it is learned again', () => {
  const liveness = new WatchLiveness({ bookmark: 150_000 });
  liveness.begin();
  liveness.bookmark(0);
  liveness.begin();
  liveness.bookmark(500_000);
  assert.equal(liveness.idleLimit, Infinity);
  liveness.bookmark(560_000);
  liveness.begin();
  assert.equal(liveness.idleLimit, 150_000);
  liveness.idleTimedOut();
  assert.equal(liveness.idleLimit, Infinity);
});
