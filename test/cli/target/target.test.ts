import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../../../src/base/errors.js';
import { parseIp } from '../../../src/base/ip.js';
import { buildServiceIndex } from '../../../src/cli/admin/service-index.js';
import {
  matchesAddress,
  targetMatcher,
  parseAddressTarget,
  parseTarget,
  type Target,
} from '../../../src/cli/target/target.js';
import type { VirtualServerDescription } from '../../../src/admin-api/responses.js';

test('a VIP, a VIP with a port, IPv6 with and without brackets', () => {
  const at = (address: string, port?: number) => ({ by: 'address', address, port });
  assert.deepEqual(parseTarget('10.96.0.1'), at('10.96.0.1'));
  assert.deepEqual(parseTarget('10.96.0.1:443'), at('10.96.0.1', 443));
  assert.deepEqual(parseTarget('fd00::1'), at('fd00::1'));
  assert.deepEqual(parseTarget('[FD00:0::1]'), at('fd00::1'));
  assert.deepEqual(parseTarget('[fd00::1]:53'), at('fd00::1', 53));
});

test('a Service or a pod by name, as kubectl writes them', () => {
  const names: readonly [string, string | undefined, string][] = [
    ['shop/web', undefined, 'service-or-pod shop web undefined'],
    ['shop/web:http', 'other', 'service-or-pod shop web http'],
    ['svc/web', undefined, 'service default web undefined'],
    ['service/web:80', 'shop', 'service shop web 80'],
    ['pod/web-1', 'shop', 'pod shop web-1 undefined'],
    ['web', 'shop', 'service-or-pod shop web undefined'],
  ];
  for (const [text, namespace, expected] of names) {
    const target = parseTarget(text, namespace);
    assert.ok(target.by !== 'address');
    assert.equal(`${target.by} ${target.namespace} ${target.name} ${target.port}`, expected);
  }
});

const message = (text: string): string => {
  try {
    parseTarget(text);
  } catch (error) {
    if (error instanceof InputError) return error.message;
  }
  return assert.fail(`${text} was taken`);
};

test('an invalid target is reported with the valid forms', () => {
  assert.match(message('10.96.0.1:http'), /"http" is not a valid port/);
  assert.match(message('10.96.0.1:70000'), /"70000" is not a valid port/);
  assert.match(message('a/b/c'), /"a\/b\/c" is not a valid target \(expected a Service/);
  assert.equal(message('web'), '"web" has no namespace: use "default/web" or -n NAMESPACE');
});

test('a target without a port is every port of every protocol; fwmarks are never meant', () => {
  const address = parseIp('10.96.0.1') ?? assert.fail();
  const identity = { by: 'address', protocol: 'UDP', address, port: 53 } as const;
  const at = (text: string) => parseAddressTarget(text) ?? assert.fail();
  assert.equal(matchesAddress(at('10.96.0.1'), identity), true);
  assert.equal(matchesAddress(at('10.96.0.1:53'), identity), true);
  assert.equal(matchesAddress(at('10.96.0.1:54'), identity), false);
  assert.equal(matchesAddress(at('10.96.0.2'), identity), false);
  assert.equal(matchesAddress(at('10.96.0.1'), { by: 'fwmark', fwmark: 1, family: 'IPv4' }), false);
});

const named = (service: string, port: string, pod: string): VirtualServerDescription => ({
  service,
  port: { name: port, port: 80 },
  frontend: 'ClusterIP',
  realServers: { '10.244.0.1:8080': { pod, state: 'ready' } },
});
const names = buildServiceIndex({
  version: 1,
  virtualServers: {
    a: named('shop/web', 'http', 'shop/web-1'),
    b: named('shop/web', 'metrics', 'shop/web-1'),
    c: named('shop/db', '', 'shop/web'),
    d: named('other/web', 'http', 'other/web'),
  },
});
const matched = (target: Target): string =>
  [...names.keys()].filter((key) => targetMatcher(target, names)(undefined, key)).join('');

test('a name means the Service, one of its ports, and where there is no such Service the pod', () => {
  assert.equal(matched(parseTarget('shop/web')), 'ab');
  assert.equal(matched(parseTarget('shop/web:metrics')), 'b');
  assert.equal(matched(parseTarget('shop/web:80')), 'ab');
  assert.equal(matched(parseTarget('shop/web-1')), 'ab');
  assert.equal(matched(parseTarget('pod/web', 'shop')), 'c');
  assert.equal(matched(parseTarget('svc/web', 'other')), 'd');
  assert.equal(matched(parseTarget('shop/none')), '');
  assert.equal(matched({ by: 'namespace', namespace: 'shop' }), 'abc');
});
