import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCpuList } from '../../src/config/schema/cpu-list.js';

test('a list of CPUs becomes what the kernel prints', () => {
  const lists = {
    '0': '0',
    '0-3': '0-3',
    '3,1,0,2': '0-3',
    '8, 0-2,3': '0-3,8',
    '1,3,5-6': '1,3,5-6',
    '2,2': '2',
  };
  for (const [given, kernel] of Object.entries(lists)) assert.equal(parseCpuList(given), kernel, given);
});

test('other text is no list of CPUs', () => {
  for (const text of ['', '-1', '3-1', '0,', 'a', '0-3:1/2', '0 1', '9999'])
    assert.equal(parseCpuList(text), undefined, text);
});
