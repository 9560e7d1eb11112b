import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

test('this Node.js takes the flags of V8 without a word', () => {
  const module = new URL('../../src/base/v8-memory.js', import.meta.url).href;
  const script = `
    const { limitSemiSpaceGrowth, omitMaglev, preferMemory } = await import(${JSON.stringify(module)});
    omitMaglev();
    limitSemiSpaceGrowth();
    preferMemory();
    console.log('done');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.deepEqual({ stdout, stderr }, { stdout: 'done\n', stderr: '' });
});
