import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { SoakReport } from './report.js';

const program = fileURLToPath(new URL('./main.js', import.meta.url));

/** A short soak in the guest that this runs in; whatever it finds is in the report. */
export const soakReport = (options: Readonly<Record<string, number>>): SoakReport => {
  const flags = Object.entries({ seed: Date.now() % 1_000_000, ...options }).flatMap(([name, value]) => [
    `--${name}`,
    String(value),
  ]);
  const args = [...process.execArgv, program, '--output=json', ...flags];
  const { stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  return JSON.parse(stdout) as SoakReport;
};
