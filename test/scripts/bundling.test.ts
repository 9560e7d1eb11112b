import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bundling-test-'));
after(() => rmSync(folder, { recursive: true }));

test('a bundle that imports node:http loads neither undici nor HTTP/2 with it', async () => {
  const { bundling } = (await import(join(root, 'scripts/bundling.mjs'))) as { bundling: object };
  const outfile = join(folder, 'bundle.mjs');
  const contents = `
    import { Agent, request } from 'node:http';
    import * as https from 'https';
    console.log(typeof Agent, typeof request, typeof https.request);
    console.log(process.moduleLoadList.filter((name) => /undici|http2/.test(name)).join());`;
  await build({ ...bundling, stdin: { contents }, bundle: true, outfile, logLevel: 'error' });
  const printed = execFileSync(process.execPath, [outfile], { encoding: 'utf8' });
  assert.equal(printed, 'function function function\n\n');
});
