// Compiles native-shims/netlink-socket.c to dist/native-shims.node with the machine's C compiler. Needs no headers of
// Node (native-shims/node-api.h declares what is used) and no download. Does nothing where the binary is newer than its
// sources; --force compiles anyway.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = `${root}dist/native-shims.node`;
const sources = ['native-shims/netlink-socket.c', 'native-shims/node-api.h', 'scripts/build-native.mjs'].map(
  (file) => root + file,
);

const modified = (file) => statSync(file).mtimeMs;
const isCurrent = () => existsSync(target) && sources.every((source) => modified(source) <= modified(target));

const compilers = process.env.CC === undefined ? ['cc', 'gcc', 'clang'] : [process.env.CC];
const findCompiler = () =>
  compilers.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);

const fail = (message) => {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
};

const compile = (compiler) => {
  mkdirSync(`${root}dist`, { recursive: true });
  const temporary = `${target}.${process.pid}`;
  const flags = [
    '-std=gnu11',
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-shared',
    '-fPIC',
    '-fvisibility=hidden',
  ];
  const result = spawnSync(compiler, [...flags, '-o', temporary, sources[0]], { encoding: 'utf8' });
  if (result.status !== 0) {
    rmSync(temporary, { force: true });
    const hint = /fatal error: .*\.h: No such file/.test(result.stderr)
      ? '\nC headers are missing. On Debian: apt-get install libc6-dev linux-libc-dev'
      : '';
    fail(`${compiler} failed:\n${result.stderr}${hint}`);
  }
  // Renamed into place, so that a running process keeps the file it has mapped.
  renameSync(temporary, target);
};

if (!process.argv.includes('--force') && isCurrent()) process.exit(0);
const compiler = findCompiler();
if (compiler === undefined)
  fail(
    `no C compiler (tried ${compilers.join(', ')}). On Debian: apt-get install gcc libc6-dev linux-libc-dev; or set CC.`,
  );
compile(compiler);
process.stdout.write(`build-native: dist/native-shims.node built with ${compiler}\n`);
