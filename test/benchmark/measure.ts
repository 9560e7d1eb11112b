// Runs in the lab: measures the floor and kube-ipvs by turns, each in a network namespace of its own, and prints one line of
// JSON (Measurements of report.ts); progress goes to standard error. Arguments: FLOOR RUNS SERVICES…
import { spawnSync } from 'node:child_process';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { FloorRun, Measurements, SizeRuns, SyncRun } from './report.js';

const endpoints = 10;
const changes = 200;
const sync = fileURLToPath(new URL('./sync.js', import.meta.url));

/** Runs a program in a new network namespace whose loopback is up; gives the JSON that it prints. */
const inNamespace = (...command: readonly string[]): unknown => {
  const { status, stdout } = spawnSync(
    'unshare',
    ['--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...command],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}`);
  return JSON.parse(stdout);
};

const [floor = '', runs = '3', ...sizes] = process.argv.slice(2);

const measure = (services: string): SizeRuns => {
  const floorRuns: FloorRun[] = [];
  const syncRuns: SyncRun[] = [];
  for (let run = 1; run <= Number(runs); run += 1) {
    process.stderr.write(`• ${services} Services, run ${run} of ${runs}\n`);
    floorRuns.push(inNamespace(floor, services, String(endpoints)) as FloorRun);
    const node = [process.execPath, ...process.execArgv, sync];
    syncRuns.push(inNamespace(...node, services, String(endpoints), String(changes)) as SyncRun);
  }
  return { services: Number(services), floor: floorRuns, sync: syncRuns };
};

const measurements: Measurements = {
  kernel: release(),
  node: process.version,
  endpoints,
  sizes: sizes.map(measure),
};
process.stdout.write(`${JSON.stringify(measurements)}\n`);
