// Runs compiled tests: those of test/kernel each in a lab guest of its own, all others here, on this Node and, where no
// files are chosen, on the other Node versions that we support too. Ends with `N passed, N failed`; a test that was skipped
// or is to be written counts as failed, and so does a file that crashed, hung or had no test.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** The lowest version of package.json's `engines`, and the line after the one that we develop on. */
const otherVersions = ['20.19.0', '24.21.0'].filter((version) => version !== process.versions.node);
/** Of the kernel tests these go from manifests or an API server to real connections: they are run on every version. */
const endToEnd = ['test/kernel/golden-transitions.test.ts', 'test/kernel/traffic.test.ts'];
/** A file that takes longer hangs. The slowest takes a tenth of it. */
const limitSeconds = Number(process.env.KUBE_IPVS_TEST_SECONDS ?? 300);
/** The end of an output tells what is wrong, where it is endless. */
const longestOutput = 4_000_000;

// A guest's memory is cheap and its page faults are not: a larger young generation saves most of them.
const guestNode = ['--min-semi-space-size=32', '--max-semi-space-size=32'];

// ---- running one command

/** The process groups of the commands that run now. */
const running = new Set();
const killGroup = (pid, signal) => {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
};
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
])
  process.once(signal, () => {
    for (const pid of running) killGroup(pid, 'SIGTERM');
    process.exit(status);
  });

/** Runs a command in a process group of its own: its exit status or signal, what it wrote, and whether it was ended by us. */
const execute = (command, args, { seconds, environment = {} }) =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Without what `node --test` tells its own test files.
      env: { ...process.env, ...environment, NODE_TEST_CONTEXT: undefined },
      detached: true,
    });
    const result = { status: undefined, stdout: '', stderr: '', late: false };
    for (const stream of ['stdout', 'stderr'])
      child[stream].setEncoding('utf8').on('data', (text) => {
        result[stream] += text;
        if (result[stream].length > 2 * longestOutput) result[stream] = result[stream].slice(-longestOutput);
      });
    if (child.pid !== undefined) running.add(child.pid);
    const timers = [
      setTimeout(() => {
        result.late = true;
        killGroup(child.pid, 'SIGTERM');
        timers.push(setTimeout(() => killGroup(child.pid, 'SIGKILL'), 5000));
      }, seconds * 1000),
    ];
    // What it left running keeps its output open; without that we would wait for it in vain.
    child.on('exit', () => timers.push(setTimeout(() => killGroup(child.pid, 'SIGKILL'), 2000)));
    const end = (status) => {
      for (const timer of timers) clearTimeout(timer);
      running.delete(child.pid);
      resolve({ ...result, status });
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (status, signal) => end(status ?? signal));
  });

// ---- reading TAP

const counters = ['tests', 'pass', 'fail', 'cancelled', 'skipped', 'todo'];

/** The counts that a test file's TAP ends with; undefined where it did not come to its end. */
const summaryOf = (tap) => {
  const counts = counters.map(
    (word) => [...tap.matchAll(new RegExp(`^# ${word} (\\d+)$`, 'gm'))].at(-1)?.[1],
  );
  if (counts.includes(undefined)) return undefined;
  return Object.fromEntries(counters.map((word, index) => [word, Number(counts[index])]));
};

/** What is wrong with a run beyond failed assertions; undefined where nothing is. */
const flawOf = ({ status, late }, summary) => {
  if (late) return `ended after ${limitSeconds} s`;
  if (summary === undefined) return `ended early: ${status}`;
  if (summary.skipped + summary.todo > 0) return `${summary.skipped + summary.todo} skipped`;
  if (summary.tests === 0) return 'no test';
  return status === 0 || summary.fail + summary.cancelled > 0 ? undefined : `status ${status}`;
};

const judge = (result) => {
  const summary = summaryOf(result.stdout);
  const flaw = flawOf(result, summary);
  const { pass, fail, cancelled, skipped, todo } = summary ?? {
    pass: 0,
    fail: 0,
    cancelled: 0,
    skipped: 0,
    todo: 0,
  };
  const failed = fail + cancelled + skipped + todo;
  return { passed: pass, failed: failed === 0 && flaw !== undefined ? 1 : failed, flaw };
};

/** Runs one test file, says how it went, shows the whole output where it failed. */
const runFile = async (name, command, args, { seconds: limit, environment }) => {
  const started = Date.now();
  const result = await execute(command, args, { seconds: limit, environment });
  const { passed, failed, flaw } = judge(result);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const because = flaw === undefined ? '' : `, ${flaw}`;
  console.log(
    `${failed === 0 ? '✓' : '✗'} ${name}: ${passed} passed, ${failed} failed${because} (${seconds} s)`,
  );
  if (failed > 0) console.log(`${result.stdout}${result.stderr}`);
  return { passed, failed };
};

// ---- test files

const isKernelTest = (file) => file.startsWith(join('test', 'kernel') + '/');
/** These run shell scripts, for which another Node makes no difference. */
const isScriptTest = (file) => ['test/scripts/lab.test.ts', 'test/scripts/quickstart.test.ts'].includes(file);
/** A test says in a line `// lab: OPTIONS` what kind of guest it needs, as `-K initcall_blacklist=ip_vs_init`. */
const labOptions = (file) => /^\/\/ lab: (.*)$/m.exec(readFileSync(file, 'utf8'))?.[1]?.split(' ') ?? [];
const needsLab = (file) => isKernelTest(file) || readFileSync(file, 'utf8').includes('scripts/lab');

/** Runs a file on a Node: programs that it starts find the same one. */
const runOn = (node, file) => {
  const name = node.version === process.versions.node ? file : `${file} on Node ${node.version}`;
  const environment = { PATH: dirname(node.program) + delimiter + process.env.PATH };
  const test = ['--test-reporter=tap', join('build', file.replace(/\.ts$/, '.js'))];
  if (!isKernelTest(file)) return runFile(name, node.program, test, { seconds: limitSeconds, environment });
  const lab = ['-t', String(limitSeconds), ...labOptions(file), '--'];
  const guest = [...lab, node.program, ...guestNode, ...test];
  return runFile(name, 'scripts/lab', guest, { seconds: limitSeconds + 30, environment });
};

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

// ---- what they need

const say = (text) => console.error(`• ${text}`);

/** A Node of this version out of the cache, fetched as a package if it is not there; undefined where that fails. */
const nodeOf = async (version) => {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kube-ipvs-node');
  const folder = join(cache, version);
  const packageName = `node-${process.platform}-${process.arch}`;
  const program = join(folder, 'node_modules', packageName, 'bin/node');
  if (!existsSync(program)) {
    say(`Node ${version} (npm)`);
    mkdirSync(cache, { recursive: true });
    const aside = mkdtempSync(join(cache, 'new-'));
    const options = [
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-update-notifier',
      '--loglevel=error',
    ];
    const install = ['install', '--prefix', aside, ...options, `${packageName}@${version}`];
    const { stdout, stderr } = await execute('npm', install, { seconds: limitSeconds });
    // Of two runs that fetch the same, one comes first.
    if (!existsSync(folder)) renameSync(aside, folder);
    else rmSync(aside, { recursive: true });
    if (!existsSync(program)) console.log(`could not fetch Node ${version}\n${stdout}${stderr}`);
  }
  const { stdout } = await execute(program, ['--version'], { seconds: 30 });
  if (stdout.trim() === `v${version}`) return { version, program };
  rmSync(folder, { recursive: true, force: true });
  return undefined;
};

const prepareKernel = (...options) =>
  new Promise((resolve) => {
    const child = spawn('scripts/lab', [...options, '--prepare'], { stdio: ['ignore', 2, 2] });
    child.on('error', () => resolve(false));
    child.on('close', (status) => resolve(status === 0));
  });

/** The kernel of the kernel tests; and a guest's, where the machine's own is that one, as some tests are about guests. */
const prepareLab = async () => (await prepareKernel()) && (await prepareKernel('--kernel', 'guest'));

// ---- all

const all = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test', name))
  .toSorted();
const chosen = process.argv.slice(2);
const files = all.filter((file) => chosen.length === 0 || chosen.some((wanted) => file.startsWith(wanted)));
const failure = (text) => {
  console.log(`✗ ${text}`);
  return { passed: 0, failed: 1 };
};

const results = [];
for (const wanted of chosen.filter((start) => !files.some((file) => file.startsWith(start))))
  results.push(failure(`no test file matches ${wanted}`));

const labWanted = files.some(needsLab);
const labReady = labWanted && (await prepareLab());
if (labWanted && !labReady) results.push(failure('the kernel lab could not be prepared'));

const here = { version: process.versions.node, program: process.execPath };
const runs = files.map((file) => ({ node: here, file }));
for (const version of chosen.length === 0 ? otherVersions : []) {
  const node = await nodeOf(version);
  if (node === undefined) results.push(failure(`Node ${version} could not be fetched`));
  else
    for (const file of files)
      if (endToEnd.includes(file) || !(isKernelTest(file) || isScriptTest(file))) runs.push({ node, file });
}

const possible = runs.filter(({ file }) => labReady || !needsLab(file));
for (const { file } of runs.filter((run) => !possible.includes(run)))
  results.push(failure(`${file}: no kernel to run on`));
results.push(
  ...(await inParallel(
    availableParallelism(),
    possible.map(
      ({ node, file }) =>
        () =>
          runOn(node, file),
    ),
  )),
);

const sum = (key) => results.reduce((total, result) => total + result[key], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
