import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readmeWithExcerpt } from '../support/tour-excerpt.js';

test('README shows the commands of docs/tour.md with the same output', () => {
  const { present, wanted } = readmeWithExcerpt();
  assert.equal(present, wanted, 'regenerate it: node build/test/support/tour-excerpt.js');
  assert.match(present, /^ {4}\$ kube-ipvs diff\n {4}# real servers\n/m);
});

test('README has fewer than 150 lines', () => {
  const lines = readmeWithExcerpt().present.split('\n').length;
  assert.ok(lines < 150, `${lines} lines`);
});
