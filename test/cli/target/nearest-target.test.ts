import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildServiceIndex, emptyServiceIndex } from '../../../src/cli/admin/service-index.js';
import { nearestTarget, notFoundMessage } from '../../../src/cli/target/nearest-target.js';
import { parseTarget } from '../../../src/cli/target/target.js';
import type { VirtualServerDescription } from '../../../src/admin-api/responses.js';

const owned = (service: string, port: string, number: number, pod: string): VirtualServerDescription => ({
  service,
  port: { name: port, port: number },
  frontend: 'ClusterIP',
  realServers: { '10.244.0.1:8080': { pod, state: 'ready' } },
});
const virtualServers = {
  'TCP 10.96.0.1:80': owned('shop/web', 'http', 80, 'shop/web-1'),
  'TCP 10.96.0.1:443': owned('shop/web', 'https', 443, 'shop/web-1'),
  'UDP 10.96.0.10:53': owned('kube-system/kube-dns', '', 53, 'kube-system/coredns-7d9f'),
  'TCP [fd00::a]:53': owned('kube-system/kube-dns', '', 53, 'kube-system/coredns-7d9f'),
};
const present = {
  names: buildServiceIndex({ version: 1, virtualServers }),
  virtualServers: Object.keys(virtualServers),
};
const meant = (text: string, namespace?: string): string | undefined =>
  nearestTarget(parseTarget(text, namespace), present);

test('a mistyped Service, port or pod', () => {
  assert.equal(meant('shop/wbe'), 'shop/web');
  assert.equal(meant('shpo/web:http'), 'shop/web:http');
  assert.equal(meant('shop/web:htpt'), 'shop/web:http');
  assert.equal(meant('shop/web:8443'), 'shop/web:443');
  assert.equal(meant('shop/web:nothing'), 'shop/web:http');
  assert.equal(meant('pod/web-2', 'shop'), 'pod/web-1 -n shop');
  assert.equal(meant('kube-system/coredns-7d9e'), 'pod/coredns-7d9f -n kube-system');
});

test('a name in another namespace, and a namespace', () => {
  assert.equal(meant('svc/kube-dns'), 'kube-system/kube-dns');
  assert.equal(nearestTarget({ by: 'namespace', namespace: 'kubesystem' }, present), '-n kube-system');
});

test('another port of the address, and an address written alike', () => {
  assert.equal(meant('10.96.0.1:444'), '10.96.0.1:443');
  assert.equal(meant('10.96.0.10:9999'), '10.96.0.10');
  assert.equal(meant('10.69.0.10:53'), '10.96.0.10:53');
  assert.equal(meant('10.96.0.100'), '10.96.0.10');
  assert.equal(meant('[fd00::b]:53'), '[fd00::a]:53');
  assert.equal(meant('192.168.7.44'), undefined);
});

test('the message suggests a similar target, or the command that lists all', () => {
  assert.equal(
    notFoundMessage(parseTarget('shop/wbe'), present),
    'Service or pod shop/wbe not found. Did you mean shop/web?',
  );
  assert.equal(
    notFoundMessage(parseTarget('[fd00::1]:80'), { names: emptyServiceIndex, virtualServers: [] }),
    'virtual server at [fd00::1]:80 not found. Run `kube-ipvs dump` to list all.',
  );
});
