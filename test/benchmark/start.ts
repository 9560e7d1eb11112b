// Measures the start of the daemon on this kernel, several times. Arguments: RUNS SERVICES ENDPOINTS json|table.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startResult, startText, type StartRun } from './start-report.js';

const [runs = 3, services = 10_000, endpoints = 10] = process.argv.slice(2, 5).map(Number);
const once = fileURLToPath(new URL('./start-once.js', import.meta.url));

const results: StartRun[] = [];
for (let run = 1; run <= runs; run += 1) {
  process.stderr.write(`• run ${run} of ${runs}\n`);
  const args = ['--net', process.execPath, once, String(services), String(endpoints)];
  results.push(JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' })) as StartRun);
}
const result = startResult({ services, endpoints }, results);
process.stdout.write(
  process.argv[5] === 'json' ? `${JSON.stringify(result, undefined, 2)}\n` : startText(result),
);
