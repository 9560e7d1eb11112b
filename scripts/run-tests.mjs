// Runs compiled tests. Tests in test/kernel, and others that need virtual time, run in a lab guest each, on the Node.js version
// that kube-ipvs ships. All other tests run on this machine, on this Node.js and, if no files are named, also on the shipped one;
// tests of scripts and of the page in a browser run on one.
// The longest run first.
//   node scripts/run-tests.mjs [--report FILE] [--record] [FILE…]
//     --report FILE   write the cost of every file as JSON
//     --record        store the durations in scripts/test-runner/durations.json, which decides the order
// Ends with a table of the slowest files and the line `N passed, N failed`. A skipped test or a todo counts as failed, as does a
// file that crashed, hung or had no test.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { executeAside } from './test-runner/execute.mjs';
import { guestEnvironment } from './test-runner/guest-memory.mjs';
import { ownNode, productNode } from './test-runner/nodes.mjs';
import { readDurations, slowest, writeDurations, writeReport } from './test-runner/report.mjs';
import { judge } from './test-runner/tap.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** A file that takes longer counts as hung. The slowest file takes a fraction of this, even on a busy machine. */
const limitSeconds = Number(process.env.KUBE_IPVS_TEST_SECONDS ?? 900);

// Page faults are expensive in a guest: a larger young generation avoids most of them.
const guestNode = ['--min-semi-space-size=32', '--max-semi-space-size=32'];

// ---- test files

const isKernelTest = (file) => file.startsWith(join('test', 'kernel') + '/');
/** These tests run scripts, which choose their Node.js themselves, so one run is enough. */
const isScriptTest = (file) => /^test\/(scripts\/|deploy\/(image|release|chart))/.test(file);
/** A browser runs the page, and the daemon that serves it runs on the shipped Node.js. */
const isBrowserTest = (file) => file === 'test/web/page.test.ts';
/** The line `// lab: OPTIONS` of a test gives options for its guest, such as `-K initcall_blacklist=ip_vs_init`. */
const labOptions = (file) => /^\/\/ lab: (.*)$/m.exec(readFileSync(file, 'utf8'))?.[1]?.split(' ') ?? [];
/** In virtual time the guest's clock stops while a process computes, so a busy machine does not shorten any wait. */
const virtualTime = ['-K', 'time-travel=inf-cpu'];
/** The line `// real time: REASON` excludes a test from virtual time. */
const clockOptions = (file) => (/^\/\/ real time: ./m.test(readFileSync(file, 'utf8')) ? [] : virtualTime);
/** The line `// virtual time: REASON` makes a test outside test/kernel run in a guest too. */
const runsInLab = (file) => isKernelTest(file) || /^\/\/ virtual time: ./m.test(readFileSync(file, 'utf8'));
const needsLab = (file) => runsInLab(file) || readFileSync(file, 'utf8').includes('scripts/lab');

/** The line `// page faults: REASON` excludes a test from scripts/test-runner/populate-memory.c. */
const hasPageFaults = (file) => /^\/\/ page faults: ./m.test(readFileSync(file, 'utf8'));

/** The command that runs a test file on a Node; in a guest, with this environment. */
const commandOf = (node, file, environment) => {
  const test = ['--test-reporter=tap', join('build', file.replace(/\.ts$/, '.js'))];
  if (!runsInLab(file)) return [node.program, test];
  return [
    'scripts/lab',
    [
      '-t',
      limitSeconds,
      ...labOptions(file),
      ...clockOptions(file),
      '--',
      ...(hasPageFaults(file) ? [] : environment),
      node.program,
      ...guestNode,
      ...test,
    ],
  ];
};

/** Runs a file on a Node.js, prints the result, and the whole output if it failed. Programs that it starts find that Node.js. */
const runFile = async ({ node, file }, environment) => {
  const [command, args] = commandOf(node, file, environment);
  const result = await executeAside(command, args, {
    seconds: runsInLab(file) ? limitSeconds + 30 : limitSeconds,
    environment: { PATH: dirname(node.program) + delimiter + process.env.PATH },
  });
  const { passed, failed, flaw } = judge(result, limitSeconds);
  const because = flaw === undefined ? '' : `, ${flaw}`;
  const { seconds, cpuSeconds, guests } = result;
  console.log(
    `${failed === 0 ? '✓' : '✗'} ${file} on Node ${node.version}: ${passed} passed, ${failed} failed${because} (${seconds.toFixed(1)} s, processor ${cpuSeconds.toFixed(1)} s)`,
  );
  if (failed > 0) console.log(`${result.stdout}${result.stderr}`);
  const where = runsInLab(file) ? 'lab' : 'host';
  return { file, where, node: node.version, guests, seconds, cpuSeconds, passed, failed };
};

/** At most `width` jobs at a time. */
const inParallel = async (width, jobs, run) => {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) results.push(await run(jobs[next++]));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
};

// ---- preparation

/** Bundles the program, because kernel tests start the shipped form. */
const bundle = () =>
  !existsSync('scripts/build.mjs') ||
  spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: ['ignore', 2, 2] }).status === 0;

const prepareKernel = (...options) =>
  new Promise((resolve) => {
    const child = spawn('scripts/lab', [...options, '--prepare'], { stdio: ['ignore', 2, 2] });
    child.on('error', () => resolve(false));
    child.on('close', (status) => resolve(status === 0));
  });

/** Prepares the kernel of the kernel tests. If that is this machine's own, prepares a guest too, because some tests need one. */
const prepareLab = async () => (await prepareKernel()) && (await prepareKernel('--kernel', 'guest'));

/** The versions of Node.js on which a file runs. */
const nodesFor = (file, product, isEverything) => {
  if (runsInLab(file) || isBrowserTest(file)) return [product];
  if (isScriptTest(file) || !isEverything || product.version === ownNode.version) return [ownNode];
  return [ownNode, product];
};

/** The longest first, so that all cores are busy to the end. */
const longestFirst = (runs) => {
  const recorded = readDurations();
  const expected = ({ file }) => recorded[file] ?? (needsLab(file) ? 2 : 1);
  return runs.toSorted((a, b) => expected(b) - expected(a));
};

// ---- all

const { values: options, positionals: chosen } = parseArgs({
  options: { report: { type: 'string' }, record: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const all = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test', name))
  .toSorted();
const isEverything = chosen.length === 0;
const files = all.filter((file) => isEverything || chosen.some((wanted) => file.startsWith(wanted)));

let refused = 0;
const refuse = (text) => {
  console.log(`✗ ${text}`);
  refused += 1;
};
for (const wanted of chosen.filter((start) => !files.some((file) => file.startsWith(start))))
  refuse(`no test file matches ${wanted}`);

const labWanted = files.some(needsLab);
const labReady = labWanted && (await prepareLab());
if (labWanted && !labReady) refuse('the kernel lab could not be prepared');
if (!bundle()) refuse('the program could not be bundled');
const product = isEverything || files.some(runsInLab) ? await productNode() : ownNode;
if (product === undefined) refuse('the Node.js version that kube-ipvs ships could not be fetched');

const possible = files.filter((file) => labReady || !needsLab(file));
for (const file of files.filter((file) => !possible.includes(file))) refuse(`${file}: no kernel to run on`);
const runs = possible.flatMap((file) =>
  nodesFor(file, product ?? ownNode, isEverything).map((node) => ({ node, file })),
);

const environment = labReady ? guestEnvironment() : [];
const began = performance.now();
const results = await inParallel(
  Number(process.env.KUBE_IPVS_TEST_JOBS ?? availableParallelism()),
  longestFirst(runs),
  (run) => runFile(run, environment),
);
const wallSeconds = (performance.now() - began) / 1000;

const sum = (key) => results.reduce((total, result) => total + result[key], 0);
const [passed, failed] = [sum('passed'), sum('failed') + refused];
if (results.length > 0) for (const line of slowest(results, wallSeconds)) console.log(line);
if (options.report !== undefined) writeReport(options.report, results, wallSeconds);
if (options.record) writeDurations(results);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
