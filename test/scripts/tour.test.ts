import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test("README's tour: its commands print what stands there; if they shall print something else: scripts/tour --write", () => {
  const { status, stdout, stderr } = spawnSync(join(root, 'scripts/tour'), {
    encoding: 'utf8',
    timeout: 280_000,
  });
  assert.equal(status, 0, stderr);
  assert.equal(stdout, readFileSync(join(root, 'README.md'), 'utf8'));
});
