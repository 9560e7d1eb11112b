import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObservedServer } from '../../../src/apply/state/observed-server.js';
import { digestOf } from '../../../src/kernel/ipvs/table-file/digest.js';
import { at, real, virtual } from '../../support/virtual-server-entries.js';

test('the digest is that of the real servers, after each change', () => {
  const server = new ObservedServer(virtual(at('TCP', '10.96.0.1', 80)), [real('10.1.0.1', 80)]);
  const changes = [
    () => server.setRealServer(real('10.1.0.2', 80)),
    () => server.setRealServer(real('10.1.0.2', 80, { weight: 0 })),
    () => server.deleteRealServer(real('10.1.0.1', 80).key),
    () => server.deleteRealServer(real('10.1.0.2', 80).key),
  ];
  const digests = new Set([server.digest]);
  for (const change of changes) {
    change();
    assert.equal(server.digest, digestOf(server.realServers.values()));
    digests.add(server.digest);
  }
  assert.equal(digests.size, changes.length + 1);
});
