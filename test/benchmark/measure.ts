// Runs in the lab: measures the floor and kube-ipvs by turns, each in a network namespace of its own, and prints one line of
// JSON (Measurements of report.ts); progress goes to standard error. Arguments: FLOOR RUNS SERVICES…
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { inNamespace } from './namespace.js';
import type { FloorRun, Measurements, SizeRuns, SyncRun } from './report.js';

const endpoints = 10;
const changes = 200;
const sync = fileURLToPath(new URL('./sync.js', import.meta.url));

const [floor = '', runs = '3', ...sizes] = process.argv.slice(2);

const measure = (services: string): SizeRuns => {
  const floorRuns: FloorRun[] = [];
  const syncRuns: SyncRun[] = [];
  for (let run = 1; run <= Number(runs); run += 1) {
    process.stderr.write(`• ${services} Services, run ${run} of ${runs}\n`);
    floorRuns.push(inNamespace(floor, services, String(endpoints), 'address') as FloorRun);
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
