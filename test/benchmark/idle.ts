// Runs in the lab: a sync period in which nothing changes, with the kernel's table file and without it, each in a new network
// namespace. Arguments: RUNS SERVICES ENDPOINTS, and `json` or `table`.
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { idleText, type IdleRun, type IdleRuns } from './idle-report.js';
import { inNamespace } from './namespace.js';

const [runs = '3', services = '10000', endpoints = '10', output = 'table'] = process.argv.slice(2);
const program = fileURLToPath(new URL('./idle-period.js', import.meta.url));

const measure = (mode: IdleRun['mode']): IdleRun => {
  process.stderr.write(`• ${mode}\n`);
  const node = [process.execPath, ...process.execArgv, program];
  return inNamespace(...node, mode, runs, services, endpoints) as IdleRun;
};

const result: IdleRuns = {
  kernel: release(),
  node: process.version,
  services: Number(services),
  endpoints: Number(endpoints),
  runs: (['file', 'netlink'] as const).map(measure),
};
process.stdout.write(output === 'json' ? `${JSON.stringify(result)}\n` : idleText(result));
