import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodTraffic } from '../../../src/model/pod-traffic.js';
import { fromPod } from '../../../src/plan/packet-rules/rule-expressions.js';
import { text } from '../../support/packet-rules.js';

/** The bytes that the interface name is compared with. */
const compared = (pods: PodTraffic): Uint8Array => {
  const compare = fromPod(pods, '==').at(-1);
  assert.ok(compare?.kind === 'compare' && compare.value instanceof Uint8Array);
  return compare.value;
};
const bridge = (name: string): Uint8Array => compared({ by: 'interface', name });
const prefix = (of: string): Uint8Array => compared({ by: 'interface-prefix', prefix: of });

test('an interface name is compared with all sixteen bytes, a prefix with its own length', () => {
  assert.deepEqual(bridge('cni0'), text('cni0', 16));
  assert.deepEqual(bridge('fifteen-bytes-x'), text('fifteen-bytes-x', 16));
  assert.deepEqual(prefix('veth'), text('veth'));
  assert.deepEqual(prefix('fifteen-bytes-x'), text('fifteen-bytes-x'));
});

test('an impossible interface name is compared with bytes that match no interface, because the last one is not zero', () => {
  assert.deepEqual(bridge('sixteen-bytes-xy'), text('sixteen-bytes-xy'));
  assert.deepEqual(bridge('sixteen-bytes-xyz'), text('sixteen-bytes-xy'));
  assert.deepEqual(prefix('sixteen-bytes-xyz'), text('sixteen-bytes-xy'));
});
