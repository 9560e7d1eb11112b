import { defaultInstance } from '../../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEntry } from '../../../src/model/plan-entry.js';
import { nodePlanGroups, type NodeState } from '../../../src/plan/output/node-plan.js';

const whole: NodeState = {
  names: defaultInstance,
  hasDummyInterface: true,
  tables: new Map([
    ['IPv4', 'as wanted'],
    ['IPv6', 'as wanted'],
  ]),
  settings: [],
};

const lines = (changes: Partial<NodeState>): readonly string[] =>
  nodePlanGroups({ ...whole, ...changes }).flatMap(({ name, steps }) => [name, ...steps.map(formatEntry)]);

test('a correct node has no group', () => {
  assert.deepEqual(nodePlanGroups(whole), []);
  assert.deepEqual(nodePlanGroups({ ...whole, tables: new Map() }), [], 'no family has tables here');
});

test('settings come first, then the device, then the tables', () => {
  assert.deepEqual(
    lines({
      hasDummyInterface: false,
      tables: new Map([
        ['IPv4', 'changed'],
        ['IPv6', 'missing'],
      ]),
      settings: [
        { name: 'net.ipv4.vs.conntrack', wanted: 1, found: 0 },
        { name: 'net.ipv4.ip_forward', wanted: 1 },
      ],
    }),
    [
      'the node',
      '~ sysctl net.ipv4.vs.conntrack: value 0 → 1',
      '~ sysctl net.ipv4.ip_forward: value unreadable → 1',
      '+ link kube-ipvs0 dummy',
      '~ table IPv4 kube-ipvs: rules changed → as declared',
      '+ table IPv6 kube-ipvs',
    ],
  );
});
