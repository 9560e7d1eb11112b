import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
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

test('README is right that kube-ipvs runs no program, but what the operator gives to migrate', () => {
  assert.match(readmeWithExcerpt().present, /It never\s+runs `ipvsadm`/);
  const starting = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .filter((name) => readFileSync(join('src', name), 'utf8').includes('child_process'));
  assert.deepEqual(starting, ['cli/migrate/proxy-switch.ts']);
  assert.match(readFileSync('docs/migration.md', 'utf8'), /only programs that kube-ipvs ever starts/);
});
