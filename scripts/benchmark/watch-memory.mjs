// Measures the memory of a bundled process that holds 10,000 Services and 10,000 EndpointSlices of 10 endpoints. It follows an
// API server in another process, with the daemon's settings and the image's environment. Prints JSON; `scripts/bench --memory` starts this.
// Arguments: [services] [endpoints] [stream|pages]; the last one selects how the server lists.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundling } from '../bundling.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
// Beside the native module.
const folder = mkdtempSync(join(root, 'dist/bench-'));
const holder = join(folder, 'holder.mjs');
const [services = '10000', endpoints = '10', lister = 'stream'] = process.argv.slice(2);

await build({
  absWorkingDir: root,
  entryPoints: ['test/benchmark/watch-memory-holder.ts'],
  outfile: holder,
  bundle: true,
  ...bundling,
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'error',
});

const server = spawn(
  process.execPath,
  [
    '--max-old-space-size=2048',
    join(root, 'build/test/benchmark/watch-memory-server.js'),
    services,
    endpoints,
    lister,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
try {
  const url = await new Promise((resolve) => createInterface({ input: server.stdout }).once('line', resolve));
  console.log(
    execFileSync(process.execPath, [holder, url], {
      encoding: 'utf8',
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    }).trim(),
  );
} finally {
  server.kill();
  rmSync(folder, { recursive: true });
}
