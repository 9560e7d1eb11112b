import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

// A checkout of its own, with test files that go wrong in every way that there is.

const checkout = mkdtempSync(join(tmpdir(), 'kube-ipvs-run-tests-'));
mkdirSync(join(checkout, 'scripts'));
for (const part of ['run-tests.mjs', 'test-runner'])
  cpSync(
    fileURLToPath(new URL(`../../../scripts/${part}`, import.meta.url)),
    join(checkout, 'scripts', part),
    { recursive: true },
  );
after(() => rmSync(checkout, { recursive: true }));

const reportShape = z.object({
  files: z.array(
    z.object({
      file: z.string(),
      passed: z.number(),
      failed: z.number(),
      seconds: z.number(),
      cpuSeconds: z.number(),
    }),
  ),
});

const head = `import test from 'node:test';\n`;
const passing = `test('passes', () => {});\n`;
const files: Readonly<Record<string, string>> = {
  well: `${head}${passing}${passing}console.log('# pass 1000'); console.error('# fail 1000');`,
  failing: `${head}${passing}test('fails', () => { console.log('what it printed'); throw new Error('wrong'); });`,
  skipping: `${head}${passing}test('is skipped', { skip: true }, () => {});`,
  postponing: `${head}${passing}test('is to be written', { todo: true }, () => {});`,
  crashing: `${head}${passing}test('crashes', () => process.kill(process.pid, 'SIGKILL'));`,
  leaving: `${head}test('leaves', () => process.exit(0));`,
  throwing: `${head}${passing}throw new Error('while it loads');`,
  rejecting: `${head}${passing}test('rejects later', () => { setTimeout(() => Promise.reject(new Error('late')), 10); });`,
  waiting: `${head}test('waits for nothing', () => new Promise(() => {}));`,
  hanging: `${head}test('hangs', () => new Promise(() => setInterval(() => {}, 1000)));`,
  empty: `console.log('no test');`,
};

/** Only these are to be ended; the others may take as long as a busy machine needs. */
const isEndless = (name: string): boolean => /waiting|hanging/.test(name);

const runTests = (...names: string[]) => runTestsWith({}, ...names);

const runTestsWith = (environment: Readonly<Record<string, string>>, ...names: string[]) => {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/run-tests.mjs', ...names], {
    encoding: 'utf8',
    cwd: checkout,
    env: { ...process.env, KUBE_IPVS_TEST_SECONDS: names.some(isEndless) ? '3' : '120', ...environment },
  });
  return { status, stdout, last: stdout.trimEnd().split('\n').at(-1) };
};

const nameOf = (name: string): string => `test/${name}.test.ts`;
mkdirSync(join(checkout, 'test'));
mkdirSync(join(checkout, 'build/test'), { recursive: true });
for (const [name, text] of Object.entries(files)) {
  writeFileSync(join(checkout, nameOf(name)), '');
  writeFileSync(join(checkout, `build/test/${name}.test.js`), text);
}
writeFileSync(join(checkout, 'package.json'), '{"type": "module"}');
writeFileSync(join(checkout, nameOf('uncompiled')), '');

test('passed tests are counted by what the runner says, not by what a test prints', () => {
  const { status, stdout, last } = runTests(nameOf('well'));
  assert.equal(last, '2 passed, 0 failed', stdout);
  assert.equal(status, 0);
});

const outcomes: readonly (readonly [string, string, RegExp])[] = [
  ['failing', '1 passed, 1 failed', /what it printed/],
  ['skipping', '1 passed, 1 failed', /1 skipped/],
  ['postponing', '1 passed, 1 failed', /1 skipped/],
  ['crashing', '0 passed, 1 failed', /ended early: SIGKILL/],
  ['leaving', '0 passed, 1 failed', /✗/],
  ['throwing', '0 passed, 1 failed', /while it loads/],
  ['rejecting', '2 passed, 1 failed', /late/],
  ['waiting', '0 passed, 1 failed', /waits for nothing|ended after 3 s/],
  ['hanging', '0 passed, 1 failed', /ended after 3 s/],
  ['empty', '0 passed, 1 failed', /no test/],
  ['uncompiled', '0 passed, 1 failed', /Cannot find module/],
  ['absent', '0 passed, 1 failed', /no test file matches test\/absent/],
];
for (const [name, line, reason] of outcomes)
  test(`a file that is ${name} counts as failed, and is shown`, () => {
    const { status, stdout, last } = runTests(nameOf(name));
    assert.equal(last, line, stdout);
    assert.match(stdout, reason);
    assert.equal(status, 1);
  });

test('files are counted together', () => {
  const { status, stdout, last } = runTests(nameOf('well'), nameOf('failing'), nameOf('crashing'));
  assert.equal(last, '3 passed, 2 failed', stdout);
  assert.equal(status, 1);
});

test('before the last line comes what the files cost, and the same as JSON where it is asked for', () => {
  const report = join(checkout, 'report.json');
  const { stdout } = runTests('--report', report, nameOf('well'), nameOf('failing'));
  const [head, ...rows] = stdout.slice(stdout.indexOf('The slowest files:')).trimEnd().split('\n').slice(1);
  assert.match(head ?? '', /^FILE +WHERE +NODE +GUESTS +WALL +CPU$/);
  const row = (name: string): RegExp =>
    new RegExp(`^test/${name}\\.test\\.ts +host +${process.versions.node} +0 +[\\d.]+ s +[\\d.]+ s$`, 'm');
  for (const name of ['well', 'failing']) assert.match(rows.slice(0, 2).join('\n'), row(name));
  assert.match(rows[2] ?? '', /^2 runs of test files took \d+ s, \d+ s of processor time and 0 guests$/);
  const { files } = reportShape.parse(JSON.parse(readFileSync(report, 'utf8')));
  const costs = files.map(({ file, passed, failed }) => `${file} ${passed} ${failed}`).toSorted();
  assert.deepEqual(costs, ['test/failing.test.ts 1 1', 'test/well.test.ts 2 0']);
  for (const { seconds, cpuSeconds } of files) assert.ok(seconds > 0 && cpuSeconds > 0);
});

test('the longest that was recorded comes first', () => {
  const durations = join(checkout, 'scripts/test-runner/durations.json');
  const before = readFileSync(durations, 'utf8');
  writeFileSync(durations, JSON.stringify({ [nameOf('well')]: 50, [nameOf('failing')]: 90 }));
  const { stdout } = runTestsWith(
    { KUBE_IPVS_TEST_JOBS: '1' },
    nameOf('empty'),
    nameOf('well'),
    nameOf('failing'),
  );
  writeFileSync(durations, before);
  const order = [...stdout.matchAll(/^[✓✗] test\/(\w+)\.test\.ts/gm)].map(([, name]) => name);
  assert.deepEqual(order, ['failing', 'well', 'empty']);
});
