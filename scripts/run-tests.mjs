// Runs compiled tests: those of test/kernel each in a lab guest of its own, all others here. Ends with `N passed, N failed`.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const compiled = (file) => join('build', file.replace(/\.ts$/, '.js'));
const all = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test', name))
  .toSorted();
const chosen = process.argv.slice(2);
const files =
  chosen.length === 0 ? all : all.filter((file) => chosen.some((wanted) => file.startsWith(wanted)));
if (files.length === 0) {
  console.error(`no test file matches ${chosen.join(' ')}`);
  process.exit(2);
}

// A guest's memory is cheap and its page faults are not: a larger young generation saves most of them.
const guestNode = ['--min-semi-space-size=32', '--max-semi-space-size=32'];

/** Runs one command, prints its output when it failed, and counts what its TAP says. */
const run = (name, command, args) =>
  new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (status) => {
      const count = (word) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
      const [passed, failedTests] = [
        count('pass'),
        count('fail') + count('cancelled') + count('skipped') + count('todo'),
      ];
      const failed = failedTests > 0 ? failedTests : status === 0 && passed > 0 ? 0 : 1;
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      console.log(`${failed === 0 ? '✓' : '✗'} ${name}: ${passed} passed, ${failed} failed (${seconds} s)`);
      if (failed > 0) console.log(output);
      resolve({ passed, failed });
    });
  });

const onHost = (file) => run(file, process.execPath, ['--test-reporter=tap', compiled(file)]);
/** A test says in a line `// lab: OPTIONS` what kind of guest it needs, as `-K initcall_blacklist=ip_vs_init`. */
const labOptions = (file) => /^\/\/ lab: (.*)$/m.exec(readFileSync(file, 'utf8'))?.[1]?.split(' ') ?? [];
const inLab = (file) =>
  run(file, 'scripts/lab', [
    '-t',
    '300',
    ...labOptions(file),
    '--',
    process.execPath,
    ...guestNode,
    '--test-reporter=tap',
    compiled(file),
  ]);

/** At most `width` jobs at a time. */
const inParallel = async (width, jobs) => {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const job = jobs[next++];
      results.push(await job());
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
};

const kernelFiles = files.filter((file) => file.startsWith('test/kernel/'));
const hostFiles = files.filter((file) => !kernelFiles.includes(file));
const results = await inParallel(
  availableParallelism(),
  hostFiles.map((file) => () => onHost(file)),
);
if (kernelFiles.length > 0 && existsSync('scripts/lab')) {
  const prepared = await new Promise((resolve) =>
    spawn('scripts/lab', ['--prepare'], { stdio: ['ignore', 2, 2] }).on('close', resolve),
  );
  if (prepared !== 0) results.push({ passed: 0, failed: 1 });
}
results.push(
  ...(await inParallel(
    availableParallelism(),
    kernelFiles.map((file) => () => inLab(file)),
  )),
);

const sum = (key) => results.reduce((total, result) => total + result[key], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exit(sum('failed') === 0 && sum('passed') > 0 ? 0 : 1);
