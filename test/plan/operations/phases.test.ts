import assert from 'node:assert/strict';
import { test } from 'node:test';
import { phaseOperations, phases } from '../../../src/plan/operations/phases.js';
import { diff } from '../../../src/plan/operations/diff.js';
import { ready, service, slice } from '../../support/objects.js';
import { desiredState } from '../../support/desired-kernel.js';
import { DesiredState } from '../../../src/plan/desired-state.js';
import { ProductionNode } from '../../support/production-node.js';

const cluster = {
  services: [
    service('web', { clusterIP: '10.96.0.9' }),
    service('kube-system/kube-dns', { clusterIP: '10.96.0.10', ports: ['dns:53/UDP'] }),
    service('default/kubernetes', { clusterIP: '10.96.0.1', ports: ['https:443'] }),
  ],
  slices: [
    slice('web', [ready('10.1.0.1')]),
    slice('default/kubernetes', [ready('10.200.0.1')], { ports: ['https:6443'] }),
  ],
};

test('urgent Services are complete before the others start', async () => {
  await using node = await ProductionNode.start();
  assert.deepEqual(await node.replace(cluster), [
    '+ virtual server UDP 10.96.0.10:53 rr',
    '+ virtual server TCP 10.96.0.1:443 rr',
    '+ real server TCP 10.96.0.1:443 → 10.200.0.1:6443 masquerade weight 1',
    '+ address 10.96.0.10/32',
    '+ address 10.96.0.1/32',
    '+ virtual server TCP 10.96.0.9:80 rr',
    '+ real server TCP 10.96.0.9:80 → 10.1.0.1:80 masquerade weight 1',
    '+ address 10.96.0.9/32',
  ]);
});

test('deletions come first; a virtual server is deleted before its address', async () => {
  await using node = await ProductionNode.start();
  await node.replace(cluster);
  const moved = service('web', { clusterIP: '10.96.0.99' });
  assert.deepEqual(await node.change(moved.key, moved, [slice('web', [ready('10.1.0.1')])]), [
    '- virtual server TCP 10.96.0.9:80',
    '+ virtual server TCP 10.96.0.99:80 rr',
    '+ real server TCP 10.96.0.99:80 → 10.1.0.1:80 masquerade weight 1',
    '- address 10.96.0.9/32',
    '+ address 10.96.0.99/32',
  ]);
});

test('phases have names and one kind of operation, and contain every operation once', () => {
  const desired = desiredState(cluster);
  const operations = diff(desired, new DesiredState(), desired.keys());
  const ordered = phases(operations, desired.urgency);
  assert.deepEqual(
    ordered.map(({ name }) => name),
    [
      'urgent: packet rules',
      'urgent: virtual servers',
      'urgent: real servers',
      'urgent: bind addresses',
      'urgent: protect addresses',
      'packet rules',
      'virtual servers',
      'real servers',
      'bind addresses',
      'protect addresses',
    ],
  );
  assert.deepEqual(new Set(ordered.flatMap(phaseOperations)), new Set(operations));
  assert.equal(ordered.flatMap(phaseOperations).length, operations.length);
});

test('a real server is removed in a later phase than those that are added', () => {
  const target = desiredState({ ...cluster, slices: [slice('web', [ready('10.1.0.2')])] });
  const operations = diff(target, desiredState(cluster), target.keys());
  assert.deepEqual(
    phases(operations.toReversed()).map((phase) => [phase.name, phaseOperations(phase).length]),
    [
      // A Service that loses its endpoints refuses connections.
      ['packet rules', 1],
      ['real servers', 1],
      ['remove real servers', 2],
    ],
  );
});

test('without operations there are no phases', () => {
  assert.deepEqual(phases([]), []);
});
