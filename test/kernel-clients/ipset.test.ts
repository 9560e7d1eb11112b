import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasIpset } from '../../src/kernel/ipset/client.js';

test('a kernel without ip_set is not asked for sets, which would load it; where nobody can tell it is', () => {
  const modules = mkdtempSync(join(tmpdir(), 'modules-'));
  assert.equal(hasIpset(modules), false);
  mkdirSync(join(modules, 'ip_set'));
  assert.equal(hasIpset(modules), true);
  assert.equal(hasIpset(join(modules, 'nowhere')), true);
});
