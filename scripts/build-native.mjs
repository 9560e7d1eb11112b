// Builds the native modules of dist/: native-shims.node, with this machine's C compiler from native-shims/native-shims.c, and
// netlink.node, which the npm package `netlink` has for x64 and arm64. It needs no headers of Node.js (native-shims/node-api.h has the
// declarations) and no download. It does nothing if a binary is newer than its sources, unless --force is given.
//   --arch arm64        (or x64) to dist/ARCH/, for that architecture, with Debian's cross compiler if necessary
//   --unless-prebuilt   in the npm package of kube-ipvs: nothing if its binaries for this architecture work here, else both from source
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    force: { type: 'boolean', default: false },
    arch: { type: 'string', default: process.arch },
    'unless-prebuilt': { type: 'boolean', default: false },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const isOwnArch = values.arch === process.arch;
const folder = isOwnArch ? 'dist' : `dist/${values.arch}`;

const fail = (message) => {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
};
const works = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
const modified = (file) => statSync(file).mtimeMs;
const isCurrent = (target, sources) =>
  !values.force && existsSync(target) && sources.every((source) => modified(source) <= modified(target));

/** Makes a file by another name and renames it: a running process keeps the file that it has mapped. */
const replace = (path, make) => {
  const target = join(root, path);
  const temporary = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  try {
    make(temporary);
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
};

const compile = (compiler, path, flags) => {
  replace(path, (temporary) => {
    const result = spawnSync(
      compiler,
      [...flags, '-shared', '-fPIC', '-fvisibility=hidden', '-o', temporary],
      {
        encoding: 'utf8',
      },
    );
    if (result.status === 0) return;
    const hint = /fatal error: .*\.h: No such file/.test(result.stderr)
      ? '\nC headers are missing. On Debian: apt-get install libc6-dev linux-libc-dev'
      : '';
    fail(`${compiler} failed:\n${result.stderr}${hint}`);
  });
  process.stdout.write(`build-native: ${path} built with ${compiler}\n`);
};

/** Debian's cross compilers: the program, and the package that has it. */
const crossCompilers = {
  arm64: { program: 'aarch64-linux-gnu-gcc', packages: 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' },
  x64: { program: 'x86_64-linux-gnu-gcc', packages: 'gcc-x86-64-linux-gnu libc6-dev-amd64-cross' },
};

const cCompiler = () => {
  const cross = isOwnArch ? undefined : crossCompilers[values.arch];
  if (!isOwnArch && cross === undefined)
    fail(`--arch: unknown architecture ${values.arch} (expected x64 or arm64)`);
  const own = process.env.CC === undefined ? ['cc', 'gcc', 'clang'] : [process.env.CC];
  const compilers = cross === undefined ? own : [cross.program];
  return (
    compilers.find(works) ??
    fail(
      `no C compiler (tried ${compilers.join(', ')}). On Debian: apt-get install ${cross?.packages ?? 'gcc libc6-dev linux-libc-dev; or set CC'}.`,
    )
  );
};

const buildShims = () => {
  const path = `${folder}/native-shims.node`;
  const source = join(root, 'native-shims/native-shims.c');
  const sources = [source, join(root, 'native-shims/node-api.h'), fileURLToPath(import.meta.url)];
  if (isCurrent(join(root, path), sources)) return;
  compile(cCompiler(), path, ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', source]);
};

/** The binary that the package `netlink` has for the architecture, or that its installation built here where it has none. */
const copyNetlink = () => {
  const path = `${folder}/netlink.node`;
  const home = join(root, 'node_modules/netlink');
  const built = isOwnArch ? ['build/Release/netlink_binding.node'] : [];
  const from = [`prebuilds/linux-${values.arch}/node.napi.node`, ...built]
    .map((name) => join(home, name))
    .find(existsSync);
  if (from === undefined) fail(`${home} has no binary for ${values.arch}; run scripts/setup`);
  if (!isCurrent(join(root, path), [from])) replace(path, (temporary) => copyFileSync(from, temporary));
};

/** The npm package of kube-ipvs has binaries for the GNU C library on two architectures. */
const isPrebuilt = () => {
  try {
    for (const name of ['native-shims', 'netlink'])
      createRequire(import.meta.url)(join(root, `dist/${process.arch}/${name}.node`));
    return true;
  } catch {
    return false;
  }
};

/** From the source that the npm package of kube-ipvs has. It is C++ and needs the headers of Node.js. */
const compileNetlink = () => {
  const headers = join(dirname(process.execPath), '../include/node');
  const compilers = process.env.CXX === undefined ? ['c++', 'g++', 'clang++'] : [process.env.CXX];
  const compiler =
    compilers.find(works) ??
    fail(`no C++ compiler (tried ${compilers.join(', ')}). On Debian: apt-get install g++; or set CXX.`);
  if (!existsSync(join(headers, 'node_api.h')))
    fail(`${headers} has no headers of Node.js. Install them; on Debian: apt-get install libnode-dev.`);
  const source = join(root, 'native-shims/netlink');
  const includes = ['-I', headers, '-I', source];
  compile(compiler, 'dist/netlink.node', [
    '-std=c++17',
    '-O2',
    '-w',
    ...includes,
    join(source, 'binding.cc'),
  ]);
};

if (!values['unless-prebuilt']) {
  buildShims();
  copyNetlink();
} else if (!isPrebuilt()) {
  buildShims();
  compileNetlink();
}
