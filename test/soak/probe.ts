// Loaded before the daemon (`--import`, with `--expose-gc`): at SIGUSR2 collects garbage and writes what the process holds, a Held,
// to the file that SOAK_PROBE names.
import { renameSync, writeFileSync } from 'node:fs';
import type { Held } from './samples.js';

const file = process.env['SOAK_PROBE'] ?? '';

process.on('SIGUSR2', () => {
  globalThis.gc?.();
  const active = process.getActiveResourcesInfo();
  const timers = active.filter((name) => /Timeout|Immediate/.test(name)).length;
  const held: Held = {
    heapBytes: process.memoryUsage().heapUsed,
    handles: active.length - timers,
    timers,
  };
  writeFileSync(`${file}.next`, JSON.stringify(held));
  renameSync(`${file}.next`, file);
});
