import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuantity } from '../../../src/watch/objects/quantity.js';

test('quantities of the Kubernetes API are numbers', () => {
  const cases = {
    '100m': 0.1,
    '0.5': 0.5,
    '.5': 0.5,
    '2': 2,
    '2.': 2,
    '1e3': 1_000,
    '1E-1': 0.1,
    '5k': 5_000,
    '1Ki': 1_024,
    '1E': 1e18,
    '-1': -1,
  };
  for (const [text, value] of Object.entries(cases)) assert.equal(parseQuantity(text), value, text);
  for (const text of ['', 'm', '1 m', 'one', '1mm', '0x1', '.', '1,5'])
    assert.equal(parseQuantity(text), undefined, text);
});
