import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalOf } from '../../../src/daemon/page/request-guard.js';

const statusOf = (headers: Readonly<Record<string, string>>, method = 'GET') =>
  refusalOf({ method, headers: { host: '127.0.0.1:10249', ...headers } })?.status;

test('addresses and localhost are served; other names may belong to a site that rebinds its DNS name', () => {
  for (const host of [
    '127.0.0.1:10249',
    '[::1]:10249',
    'localhost:9',
    'LOCALHOST',
    '192.0.2.7:10249',
    '[fd00::1]',
  ])
    assert.equal(statusOf({ host }), undefined, host);
  for (const host of [
    'evil.example:10249',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '',
    'node-1:10249',
  ])
    assert.equal(statusOf({ host }), 421, host);
  assert.equal(refusalOf({ method: 'GET', headers: {} })?.status, 421);
});

test('other sites get nothing but may link to the page', () => {
  assert.equal(statusOf({ 'sec-fetch-site': 'same-origin' }), undefined);
  assert.equal(statusOf({ 'sec-fetch-site': 'none' }), undefined);
  for (const site of ['cross-site', 'same-site']) {
    assert.equal(statusOf({ 'sec-fetch-site': site, 'sec-fetch-mode': 'cors' }), 403);
    assert.equal(
      statusOf({ 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }),
      403,
    );
    const link = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    assert.equal(statusOf({ 'sec-fetch-site': site, ...link }), undefined);
    assert.equal(statusOf({ 'sec-fetch-site': site, ...link, 'sec-fetch-dest': 'iframe' }), 403);
  }
  assert.equal(statusOf({ origin: 'http://127.0.0.1:10249' }), undefined);
  for (const origin of ['http://127.0.0.1:8080', 'https://127.0.0.1:10249', 'null'])
    assert.equal(statusOf({ origin }), 403, origin);
});

test('the page is read-only', () => {
  assert.equal(statusOf({}, 'HEAD'), undefined);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) assert.equal(statusOf({}, method), 405, method);
});
