import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addShared, claim, removeClaims, removeShared, type SharedClaims } from '../../src/plan/claims.js';
import type { Claims } from '../../src/plan/claims.js';
import type { Fragment } from '../../src/plan/render/fragment.js';

/** Claims depend on nothing else. */
const fragmentOf = (service: string, createdAt: number) => ({ service, createdAt }) as Fragment;
const older = fragmentOf('shop/older', 1);
const newer = fragmentOf('shop/newer', 2);
const third = fragmentOf('shop/third', 3);
const servicesOf = (claims: readonly Fragment[] | undefined) => claims?.map(({ service }) => service);

test('an object that a second Service claims leaves the other objects of the first to it alone', () => {
  const claims = new Map<string, Claims>();
  const sole = [newer] as const;
  claim(claims, ['a', 'b'], sole);
  claim(claims, ['a'], [older]);
  assert.deepEqual(servicesOf(claims.get('a')), ['shop/older', 'shop/newer']);
  assert.deepEqual(servicesOf(claims.get('b')), ['shop/newer']);
  removeClaims(claims, ['a', 'b'], newer);
  assert.deepEqual([...claims.keys()], ['a']);
  assert.deepEqual(servicesOf(claims.get('a')), ['shop/older']);
});

test('the same for objects that Services share', () => {
  const claims: SharedClaims<string> = new Map();
  const sole = [older] as const;
  addShared(claims, ['a', 'b'], sole);
  addShared(claims, ['a'], [newer]);
  addShared(claims, ['a'], [third]);
  assert.deepEqual(servicesOf(claims.get('a')), ['shop/older', 'shop/newer', 'shop/third']);
  assert.deepEqual(servicesOf(claims.get('b')), ['shop/older']);
  removeShared(claims, ['a'], older);
  assert.deepEqual(servicesOf(claims.get('a'))?.toSorted(), ['shop/newer', 'shop/third']);
  assert.deepEqual(servicesOf(claims.get('b')), ['shop/older']);
  removeShared(claims, ['a'], third);
  removeShared(claims, ['a', 'b'], newer);
  assert.deepEqual([...claims.keys()], ['b']);
});
