import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertQuickstartShown } from '../support/quickstart-output.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const quickstart = (kernel: string) =>
  spawnSync(join(root, 'scripts/quickstart'), {
    encoding: 'utf8',
    timeout: 800_000,
    env: { ...process.env, KUBE_IPVS_LAB_KERNEL: kernel },
  });

// test/scripts/lab-qemu.test.ts runs it in QEMU.
test('three pods answer in turn, one leaves, then a client sticks to one pod: the kernel of the tests', () => {
  const { status, stdout, stderr } = quickstart('guest');
  assert.equal(status, 0, stdout + stderr);
  assert.match(stderr, /^• kernel: User Mode Linux \d+\.\d+$/m);
  assertQuickstartShown(stdout);
});

test('it shows the same on the packaged kernel, the first on a fresh machine; or says in a sentence why that does not run here', () => {
  const { status, stdout, stderr } = quickstart('packaged');
  assert.match(stderr, /^• kernel: Debian's packaged User Mode Linux /m);
  if (/\bamx_tile\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))) {
    assert.equal(status, 125);
    assert.match(stderr, /^lab: This processor's FPU state \(AMX\) is larger .* --kernel qemu\.$/m);
  } else {
    assert.equal(status, 0, stdout + stderr);
    assertQuickstartShown(stdout);
  }
});
