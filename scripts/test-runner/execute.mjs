// Runs one command in a separate process group and measures its processor time.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, watch } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeGroup, secondsOfTimes } from './cpu-time.mjs';

/** Only the end of a longer output is kept. */
const longestOutput = 4_000_000;

/** Enters the control group, runs the command, and writes its processor time to descriptor 3, also after a SIGTERM. */
const measured = `trap : TERM; [ -z "$1" ] || { echo $$ >"$1/cgroup.procs"; } 2>&-; shift
"$@" 3>&-; status=$?; times >&3; exit "$status"`;

/** The process groups of running commands. */
const running = new Set();
const killGroup = (pid, signal) => {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended.
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

const signalNames = Object.fromEntries(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

/** A shell reports an end by signal N as status 128 + N. */
const endOf = (status) => (status > 128 ? (signalNames[status - 128] ?? status) : status);

const collect = (result, key) => (text) => {
  result[key] += text;
  if (result[key].length > 2 * longestOutput) result[key] = result[key].slice(-longestOutput);
};

/** Ends the child after this time, and then the processes that it left running, because they keep its output open. */
const endInTime = (child, result, seconds) => {
  const timers = [
    setTimeout(() => {
      result.late = true;
      killGroup(child.pid, 'SIGTERM');
      timers.push(setTimeout(() => killGroup(child.pid, 'SIGKILL'), 5000));
    }, seconds * 1000),
  ];
  child.on('exit', () => timers.push(setTimeout(() => killGroup(child.pid, 'SIGKILL'), 2000)));
  return () => {
    for (const timer of timers) clearTimeout(timer);
  };
};

/** Runs a command. Resolves to its exit status or signal, its output, its processor time, and whether it took too long. */
export const execute = (command, args, { seconds, environment = {} }) =>
  new Promise((resolve) => {
    const group = makeGroup();
    const child = spawn('bash', ['-c', measured, 'bash', group?.folder ?? '', command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // Without the variable that `node --test` sets for its test files.
      env: { ...process.env, ...environment, NODE_TEST_CONTEXT: undefined },
      detached: true,
    });
    const result = { status: undefined, stdout: '', stderr: '', times: '', late: false };
    for (const [index, key] of ['stdout', 'stderr', 'times'].entries())
      child.stdio[index + 1].setEncoding('utf8').on('data', collect(result, key));
    if (child.pid !== undefined) running.add(child.pid);
    const forget = endInTime(child, result, seconds);
    const end = (status) => {
      forget();
      running.delete(child.pid);
      const { times, ...rest } = result;
      resolve({ ...rest, status, cpuSeconds: group?.end() || secondsOfTimes(times) });
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (status, signal) => end(signal ?? endOf(status)));
  });

/** The temporary directories of running commands. */
const folders = new Set();
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Runs a command with a separate temporary directory, in which every guest that it boots creates a directory. */
export const executeAside = async (command, args, { seconds, environment }) => {
  const folder = mkdtempSync(join(tmpdir(), 'kit-'));
  folders.add(folder);
  // The mode of /tmp: some tests run programs as another user.
  chmodSync(folder, 0o1777);
  const guests = new Set();
  const watcher = watch(folder, (_, name) => {
    if (name?.startsWith('kube-ipvs-lab.')) guests.add(name);
  });
  const began = performance.now();
  try {
    const result = await execute(command, args, { seconds, environment: { ...environment, TMPDIR: folder } });
    return { ...result, guests: guests.size, seconds: (performance.now() - began) / 1000 };
  } finally {
    watcher.close();
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
};
