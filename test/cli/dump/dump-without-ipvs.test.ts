import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../..', import.meta.url));

test('a kernel without IPVS: dump says what is missing and how to get it', () => {
  const main = join(root, 'build/src/cli/main.js');
  const kernel = ['--kernel', 'guest', '-K', 'initcall_blacklist=ip_vs_init'];
  const { status, stdout, stderr } = spawnSync(
    join(root, 'scripts/lab'),
    [...kernel, '--', process.execPath, main, 'dump'],
    { encoding: 'utf8', timeout: 600_000 },
  );
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(
    stderr,
    /^kube-ipvs: this kernel has no IPVS: .* module ip_vs is not loaded; load it \(sudo modprobe ip_vs\)/m,
  );
});
