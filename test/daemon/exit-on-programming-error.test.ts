import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const source = (path: string): string => new URL(`../../src/${path}.js`, import.meta.url).href;

/** Runs a process that logs as the daemon does, and the statement in it. */
const runProgram = (statement: string) => {
  const program = `
    import { createLogger } from '${source('base/log')}';
    import { raiseUncaught } from '${source('base/errors')}';
    import { exitOnProgrammingError } from '${source('daemon/exit-on-programming-error')}';
    exitOnProgrammingError(createLogger({ verbosity: 2, format: 'json' }));
    setInterval(() => {}, 1_000);
    const breakHere = () => { throw new TypeError('wrong'); };
    ${statement}`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  return { status, lines: stderr.trim().split('\n') };
};

for (const [what, statement] of Object.entries({
  raised: 'try { breakHere(); } catch (error) { raiseUncaught(error); }',
  thrown: 'setImmediate(breakHere);',
  rejected: 'void Promise.resolve().then(breakHere);',
}))
  test(`a programming error (${what}) ends the process with status 1 and its stack in one line of the log`, () => {
    const { status, lines } = runProgram(statement);
    assert.equal(status, 1);
    assert.equal(lines.length, 1, lines.join('\n'));
    const { level, event, error, stack } = JSON.parse(lines[0] ?? '') as Readonly<Record<string, string>>;
    assert.deepEqual([level, event, error], ['error', 'programming-error', 'wrong']);
    assert.match(stack ?? '', /^TypeError: wrong\n +at .*breakHere/);
  });
