import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

for (const document of ['docs/tour.md', 'test/fixtures/cli/on-a-node.md'])
  test(`the commands in ${document} have the output shown there; to update it: scripts/tour --write ${document}`, () => {
    const { status, stdout, stderr } = spawnSync(join(root, 'scripts/tour'), [document], {
      encoding: 'utf8',
      timeout: 800_000,
    });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, readFileSync(join(root, document), 'utf8'));
  });
