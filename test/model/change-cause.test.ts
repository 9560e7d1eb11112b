import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeServiceChanges, type ServiceChange } from '../../src/model/change-cause.js';

const merged = (...changes: readonly ServiceChange[]): ServiceChange | undefined =>
  changes.reduce<ServiceChange | undefined>(mergeServiceChanges, undefined);

test('changes of a Service between two syncs are one change', () => {
  assert.equal(merged('endpoints-changed', 'endpoints-changed'), 'endpoints-changed');
  assert.equal(merged('service-changed', 'endpoints-changed'), 'service-and-endpoints-changed');
  assert.equal(merged('endpoints-changed', 'service-changed'), 'service-and-endpoints-changed');
  assert.equal(
    merged('service-changed', 'endpoints-changed', 'service-changed'),
    'service-and-endpoints-changed',
  );
});

test('a new, deleted or replaced Service explains what happens to its endpoints', () => {
  assert.equal(merged('service-added', 'endpoints-changed', 'service-changed'), 'service-added');
  assert.equal(merged('endpoints-changed', 'service-added'), 'service-added');
  assert.equal(merged('service-deleted', 'endpoints-changed'), 'service-deleted');
  assert.equal(merged('service-added', 'service-deleted'), 'service-deleted');
  assert.equal(merged('service-deleted', 'service-added'), 'service-changed');
});
