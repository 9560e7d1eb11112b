import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeMatch, completeSource } from '../../../src/cli/admin/older-daemon.js';

for (const { because, expected } of [
  { because: 'Service shop/web', expected: { matched: 'service' } },
  { because: 'ClusterIP 10.96.0.1', expected: { matched: 'address' } },
  { because: 'LoadBalancer 203.0.113.7', expected: { matched: 'address' } },
  { because: 'ClusterIP UDP [fd00::a]:53', expected: { matched: 'virtual-server', protocol: 'UDP' } },
  { because: 'lingering TCP 10.96.0.1:80', expected: { matched: 'virtual-server', protocol: 'TCP' } },
  { because: 'node port 30080', expected: { matched: 'node-port' } },
  { because: 'endpoint 10.244.1.5:8080', expected: { matched: 'endpoint', endpoint: '10.244.1.5:8080' } },
  { because: 'pod shop/web-1', expected: { matched: 'pod', endpoint: 'shop/web-1' } },
])
  test(`"${because}" of an older daemon is a match by ${expected.matched}`, () => {
    assert.deepEqual(completeMatch({ service: 'shop/web', because }), {
      service: 'shop/web',
      because,
      ...expected,
    });
  });

test('the fields of a current daemon count, whatever its prose says', () => {
  const match = { service: 'shop/web', because: 'pod shop/web-1', matched: 'service' } as const;
  assert.equal(completeMatch(match), match);
  const source = { name: 'manifests /old', manifests: '/new', delivered: true };
  assert.deepEqual(completeSource(source), source);
});

test('an older daemon has the path of its manifests in the name of its source', () => {
  assert.equal(completeSource({ name: 'manifests /etc/a b', delivered: true }).manifests, '/etc/a b');
  assert.equal(
    completeSource({ name: 'API server https://192.0.2.9', delivered: true }).manifests,
    undefined,
  );
});
