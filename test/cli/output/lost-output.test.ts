import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { valueOf } from '../../../src/doctor/check-result.js';
import { status } from '../../support/doctor-facts.js';

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const removal = new URL('../../../src/cli/cleanup/removal.js', import.meta.url);
const writeOut = new URL('../../../src/cli/output/standard-output.js', import.meta.url);

/** Runs it with a reader of its output that is gone before the first word. */
const withoutReader = async (args: readonly string[]) => {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end();
  const [code] = (await once(child, 'close')) as [number | null];
  return { status: code, stderr };
};

test('a failed output is reported in one line', () => {
  const done = spawnSync('sh', ['-c', 'exec "$0" "$1" man > /dev/full', process.execPath, main], {
    encoding: 'utf8',
  });
  assert.deepEqual(
    [done.status, done.stderr],
    [1, 'kube-ipvs: cannot write the output: ENOSPC: no space left on device, write\n'],
  );
});

test('a reader that leaves early ends the program without a word', async () => {
  assert.deepEqual(await withoutReader([main, 'man']), { status: 0, stderr: '' });
});

test('and with the status that was found by then', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-lost-'));
  const path = join(folder, 'admin.sock');
  const answer = JSON.stringify(valueOf(status({ healthy: false })));
  const server = createServer((_, response) => response.end(answer)).listen(path);
  context.after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  await once(server, 'listening');
  assert.deepEqual(await withoutReader([main, 'status', `--admin-socket=${path}`]), {
    status: 1,
    stderr: '',
  });
});

test('a removal finishes even if standard output is closed', async () => {
  const program = `
    import { RemovalReport } from ${JSON.stringify(removal)};
    import { handleOutputError } from ${JSON.stringify(writeOut)};
    import { setTimeout } from 'node:timers/promises';
    process.stdout.on('error', handleOutputError);
    const report = new RemovalReport(false, 'text');
    let removed = 0;
    const remove = async () => { removed += 1; await setTimeout(20); };
    await report.perform(Array.from({ length: 5 }, (_, index) => ({ what: String(index), remove })));
    report.end();
    process.stderr.write(String(removed));`;
  assert.deepEqual(await withoutReader(['--input-type=module', '-e', program]), { status: 0, stderr: '5' });
});
