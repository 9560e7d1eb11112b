import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isServicePattern, serviceMatcher } from '../../src/model/settings/service-patterns.js';
import { serviceKey } from '../../src/model/service.js';

const services = ['shop/web', 'shop/web-2', 'kube-system/kube-dns', 'a/web.b', 'a/webxb'];
const matched = (...patterns: readonly string[]): readonly string[] => {
  const matches = serviceMatcher(patterns);
  return services.filter((name) => matches(serviceKey(...(name.split('/') as [string, string]))));
};

test('* stands for any characters of a namespace or a name, and everything else for itself', () => {
  assert.deepEqual(matched(), []);
  assert.deepEqual(matched('*/*'), services);
  assert.deepEqual(matched('shop/*'), ['shop/web', 'shop/web-2']);
  assert.deepEqual(matched('shop/web', '*/*dns'), ['shop/web', 'kube-system/kube-dns']);
  assert.deepEqual(matched('a/web.b'), ['a/web.b']);
});

test('a pattern has a namespace and a name', () => {
  assert.deepEqual(
    ['shop/*', '*/*', 'web', '*', 'a/b/c', '', 'Shop/web', 'a/(', 'a/'].filter(isServicePattern),
    ['shop/*', '*/*'],
  );
});
