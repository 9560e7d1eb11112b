// Runs in the lab: measures a full sync with VIPs as addresses and as local routes, and the floor of each, by turns, each in a
// network namespace of its own. Arguments: FLOOR RUNS table|json SERVICESxENDPOINTS…; progress goes to standard error.
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { vipBindingNames, type VipBinding } from '../../src/model/settings/vip-binding.js';
import { bindingResult, bindingText, type BindingRun, type BindingRuns } from './binding-report.js';
import { inNamespace } from './namespace.js';
import type { FloorRun } from './report.js';

const [floor = '', runs = '3', format = 'table', ...sizes] = process.argv.slice(2);
const program = fileURLToPath(new URL('./binding.js', import.meta.url));

const runsOf = (services: string, endpoints: string): readonly BindingRuns[] => {
  const floorRuns: Record<VipBinding, FloorRun[]> = { address: [], route: [] };
  const syncRuns: Record<VipBinding, BindingRun[]> = { address: [], route: [] };
  for (let run = 1; run <= Number(runs); run += 1)
    for (const binding of vipBindingNames) {
      process.stderr.write(`• ${services} Services, binding ${binding}, run ${run} of ${runs}\n`);
      const size = [services, endpoints, binding];
      floorRuns[binding].push(inNamespace(floor, ...size) as FloorRun);
      syncRuns[binding].push(
        inNamespace(process.execPath, ...process.execArgv, program, ...size) as BindingRun,
      );
    }
  return vipBindingNames.map((binding) => ({
    services: Number(services),
    endpoints: Number(endpoints),
    binding,
    floor: floorRuns[binding],
    sync: syncRuns[binding],
  }));
};

const results = sizes
  .map((size) => size.split('x'))
  .flatMap(([services = '', endpoints = '']) => runsOf(services, endpoints))
  .map(bindingResult);
process.stdout.write(
  format === 'json'
    ? `${JSON.stringify({ kernel: release(), node: process.version, results }, undefined, 2)}\n`
    : `kernel ${release()}, node ${process.version}; median of ${runs}\n\n${bindingText(results)}`,
);
