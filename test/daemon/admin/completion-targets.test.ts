import assert from 'node:assert/strict';
import { test } from 'node:test';
import { targetsWithPrefix } from '../../../src/daemon/admin/completion-targets.js';
import { targetsStore } from '../../support/targets-store.js';

const found = async (start: string): Promise<readonly string[]> =>
  (await targetsWithPrefix(start, targetsStore)).map(({ target, about }) => `${target} ${about}`);

test('Services by the beginning of their names, ports and pods once it is clear of what', async () => {
  assert.deepEqual(await found(''), [
    'shop/web ClusterIP 10.96.0.1 http 9090',
    'shop/db ClusterIP 10.96.0.2 80',
    'kube-system/kube-dns ClusterIP 10.96.0.10 dns',
  ]);
  assert.deepEqual(await found('shop/w'), [
    'shop/web ClusterIP 10.96.0.1 http 9090',
    'shop/web-1 pod of shop/web',
    'shop/web-2 pod of shop/web',
  ]);
  assert.deepEqual(await found('shop/web:'), ['shop/web:http TCP 80', 'shop/web:9090 UDP 9090']);
  assert.deepEqual(await found('shop/web:9'), ['shop/web:9090 UDP 9090']);
  assert.deepEqual(await found('shop/d'), ['shop/db ClusterIP 10.96.0.2 80'], 'not the pod of that name');
  assert.deepEqual(await found('10.96'), []);
});
