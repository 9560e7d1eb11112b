// The library that saves Node.js in a guest most of its page faults (populate-memory.c).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const source = join('scripts', 'test-runner', 'populate-memory.c');
const library = resolve('build', 'populate-memory.so');

const isCurrent = () => existsSync(library) && statSync(library).mtimeMs >= statSync(source).mtimeMs;

/** Builds the library if it is not current. Without a C compiler the tests run too, but take longer. */
const build = () => {
  mkdirSync('build', { recursive: true });
  const temporary = `${library}.${process.pid}`;
  const flags = ['-O2', '-shared', '-fPIC', '-o', temporary, source];
  const { status, stderr } = spawnSync('cc', flags, { encoding: 'utf8' });
  if (status !== 0) return `${source} could not be compiled, so guests are slower\n${stderr ?? ''}`;
  renameSync(temporary, library);
  return undefined;
};

/** The words before a program in a guest; a problem is printed once. */
export const guestEnvironment = () => {
  const problem = isCurrent() ? undefined : build();
  if (problem !== undefined) console.log(problem);
  return problem === undefined ? ['env', `LD_PRELOAD=${library}`] : [];
};
