// Runs in the lab: measures kube-ipvs up to 50,000 Services of 5 endpoints, each cluster in a network namespace of its own, and
// prints one line of JSON (LabScale of scale-report.ts); progress goes to standard error. Arguments: FLOOR RUNS.
import { execFileSync } from 'node:child_process';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { BindingRun } from './binding-report.js';
import type { DumpTimes } from './dump-report.js';
import type { IdleRun } from './idle-report.js';
import { inNamespace } from './namespace.js';
import type { FloorRun, SyncRun } from './report.js';
import type { LabScale, ScaleSize } from './scale-report.js';
import type { StartRun } from './start-report.js';

const [floor = '', runs = '1'] = process.argv.slice(2);
const changes = '200';
const largest = { services: 50_000, endpoints: 5 };

const program = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url));
const measured = (name: string, ...args: readonly (string | number)[]): unknown => {
  process.stderr.write(`• ${name} ${args.join(' ')}\n`);
  return inNamespace(process.execPath, ...process.execArgv, program(name), ...args.map(String));
};
const repeated = <Run>(measure: () => Run): readonly Run[] => Array.from({ length: Number(runs) }, measure);
const floorOf = (services: number, endpoints: number, binding: string): readonly FloorRun[] =>
  repeated(() => inNamespace(floor, String(services), String(endpoints), binding) as FloorRun);

const sizeOf = (services: number, endpoints: number): ScaleSize => ({
  services,
  endpoints,
  floor: floorOf(services, endpoints, 'address'),
  sync: repeated(() => measured('sync', services, endpoints, changes) as SyncRun),
});

/** Makes its own namespace. */
const started = (): StartRun => {
  process.stderr.write('• start\n');
  const command = ['--net', process.execPath, program('start-once'), '10000', '10'];
  return JSON.parse(execFileSync('unshare', command, { encoding: 'utf8' })) as StartRun;
};

const scale: LabScale = {
  kernel: release(),
  node: process.version,
  sizes: [
    sizeOf(100, 10),
    sizeOf(1_000, 10),
    sizeOf(10_000, 10),
    sizeOf(largest.services, largest.endpoints),
  ],
  routes: {
    ...largest,
    floor: floorOf(largest.services, largest.endpoints, 'route'),
    sync: repeated(() => measured('binding', largest.services, largest.endpoints, 'route') as BindingRun),
  },
  idle: measured('idle-period', 'file', 3, 10_000, 10) as IdleRun,
  start: started(),
  dump: (measured('dump', runs, 10_000, 3, 'json') as DumpTimes).result,
};
process.stdout.write(`${JSON.stringify(scale)}\n`);
