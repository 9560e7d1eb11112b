import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// .ci/run in a checkout where the scripts that it starts end in every way that there is.

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-ci-'));
after(() => rmSync(scratch, { recursive: true }));

/** Runs the command in this checkout, as scripts/fresh does in another. */
const here = 'shift; exec "$@"';
const tests = 'echo "slowest files"; echo "12 passed, 0 failed"';

interface Scripts {
  readonly fresh?: string;
  readonly quickstart?: string;
  readonly test?: string;
}

let count = 0;
const runWith = ({ fresh = here, quickstart = 'echo shown', test: suite = tests }: Scripts) => {
  const checkout = join(scratch, String((count += 1)));
  mkdirSync(join(checkout, 'scripts'), { recursive: true });
  cpSync(fileURLToPath(new URL('../../../.ci', import.meta.url)), join(checkout, '.ci'), { recursive: true });
  for (const [name, text] of Object.entries({ fresh, quickstart, test: suite }))
    writeFileSync(join(checkout, 'scripts', name), `#!/bin/bash\n${text}\n`, { mode: 0o755 });
  const { status, stdout } = spawnSync(join(checkout, '.ci/run'), { encoding: 'utf8' });
  const lines = stdout.trimEnd().split('\n');
  return { status, lines, last: lines.at(-1), reason: lines.at(-2) };
};

test('quickstart comes first, and the end is that of the tests', () => {
  const { status, lines } = runWith({});
  assert.equal(status, 0);
  assert.deepEqual(
    lines.map((line) => line.replace(/\btook \d+ s\b/, 'took N s')),
    [
      '== ./scripts/quickstart',
      'shown',
      '== ./scripts/quickstart took N s; now ./scripts/test',
      'slowest files',
      '12 passed, 0 failed',
    ],
  );
});

test('failed tests are counted by the tests', () => {
  const { status, last } = runWith({ test: 'echo "11 passed, 1 failed"; exit 1' });
  assert.deepEqual([status, last], [1, '11 passed, 1 failed']);
});

const failures: readonly (readonly [name: string, scripts: Scripts, reason: RegExp])[] = [
  [
    'the installation cannot be made',
    { fresh: 'echo "fresh: no network" >&2; exit 125' },
    /installation could not be made/,
  ],
  ['quickstart fails', { quickstart: 'echo "lab: no kernel" >&2; exit 3' }, /ended before the tests/],
  [
    'the tests end without a count',
    { test: 'echo "Killed"; exit 137' },
    /ended before the tests did: exit status 137/,
  ],
  ['the tests print a good count and fail', { test: 'echo "3 passed, 0 failed"; exit 1' }, /exit status 1/],
  ['the tests print a bad count and succeed', { test: 'echo "3 passed, 1 failed"' }, /exit status 0/],
  ['the tests print no count and succeed', { test: 'true' }, /exit status 0/],
];
for (const [name, scripts, expected] of failures)
  test(`one failure where ${name}`, () => {
    const { status, last, reason } = runWith(scripts);
    assert.deepEqual([status, last], [1, '0 passed, 1 failed']);
    assert.match(reason ?? '', expected);
  });

test('a failed quickstart is named, and the tests do not run', () => {
  const { lines } = runWith({ quickstart: 'exit 3' });
  assert.ok(lines.includes('✗ ./scripts/quickstart: exit status 3'), lines.join('\n'));
  assert.ok(!lines.includes('12 passed, 0 failed'));
});
