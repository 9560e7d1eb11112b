import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  nextState,
  transitions,
  type SyncEvent,
  type SyncState,
} from '../../../src/daemon/sync/sync-state.js';

const printed = (): readonly string[] =>
  Object.entries(transitions).flatMap(([from, byEvent]) =>
    Object.entries(byEvent).map(([event, to]) => `${from} · ${event} → ${to}`),
  );

test('the transitions of the sync loop', () => {
  assert.deepEqual(printed(), [
    'not-started · started → waiting-for-sources',
    'not-started · programming-error → failed',
    'waiting-for-sources · sources-synced → adopting',
    'waiting-for-sources · programming-error → failed',
    'adopting · synced → in-sync',
    'adopting · sync-failed → retrying',
    'adopting · programming-error → failed',
    'in-sync · sync-failed → retrying',
    'in-sync · observed-state-lost → adopting',
    'in-sync · programming-error → failed',
    'retrying · retry-due → adopting',
    'retrying · observed-state-lost → adopting',
    'retrying · programming-error → failed',
  ]);
});

test('nothing leads out of failed, and an event that means nothing changes nothing', () => {
  const events: readonly SyncEvent[] = ['started', 'sources-synced', 'synced', 'sync-failed', 'retry-due'];
  const after = events.map((event) => nextState('failed', event));
  assert.deepEqual(new Set<SyncState>(after), new Set(['failed']));
  assert.equal(nextState('in-sync', 'sources-synced'), 'in-sync');
});
