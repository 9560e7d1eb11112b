// Compiles native-shims/netlink-socket.c to dist/native-shims.node with this machine's C compiler. It needs no headers of Node.js
// (native-shims/node-api.h has the declarations) and no download. It does nothing if the binary is newer than its sources, unless
// --force is given. `--arch arm64` (or x64) compiles for that architecture to dist/ARCH/native-shims.node, with Debian's cross
// compiler if necessary.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { force: { type: 'boolean', default: false }, arch: { type: 'string', default: process.arch } },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const isOwnArch = values.arch === process.arch;
const path = isOwnArch ? 'dist/native-shims.node' : `dist/${values.arch}/native-shims.node`;
const target = root + path;
const sources = ['native-shims/netlink-socket.c', 'native-shims/node-api.h', 'scripts/build-native.mjs'].map(
  (file) => root + file,
);

const modified = (file) => statSync(file).mtimeMs;
const isCurrent = () => existsSync(target) && sources.every((source) => modified(source) <= modified(target));

/** Debian's cross compilers: the program, and the package that has it. */
const crossCompilers = {
  arm64: { program: 'aarch64-linux-gnu-gcc', packages: 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' },
  x64: { program: 'x86_64-linux-gnu-gcc', packages: 'gcc-x86-64-linux-gnu libc6-dev-amd64-cross' },
};
const cross = isOwnArch ? undefined : crossCompilers[values.arch];
const ownCompilers = process.env.CC === undefined ? ['cc', 'gcc', 'clang'] : [process.env.CC];
const compilers = cross === undefined ? ownCompilers : [cross.program];
const findCompiler = () =>
  compilers.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);

const fail = (message) => {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
};

const compile = (compiler) => {
  mkdirSync(dirname(target), { recursive: true });
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
  // Renaming lets a running process keep the file that it has mapped.
  renameSync(temporary, target);
};

if (!isOwnArch && cross === undefined)
  fail(`--arch: unknown architecture ${values.arch} (expected x64 or arm64)`);
if (!values.force && isCurrent()) process.exit(0);
const compiler = findCompiler();
if (compiler === undefined)
  fail(
    `no C compiler (tried ${compilers.join(', ')}). On Debian: apt-get install ${cross?.packages ?? 'gcc libc6-dev linux-libc-dev; or set CC'}.`,
  );
compile(compiler);
process.stdout.write(`build-native: ${path} built with ${compiler}\n`);
