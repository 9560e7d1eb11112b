// Which kernel scripts/lab chooses. The kernels here are shell scripts that boot, panic or hang as told, so that every
// choice is the same on every processor. test/scripts/lab-qemu.test.ts boots a real stock kernel.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const script = join(root, 'scripts/lab');

const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-lab-test-'));
after(() => rmSync(folder, { recursive: true }));
const cache = join(folder, 'cache');
const programs = join(folder, 'bin');
/** Every start of a kernel appends its name here. */
const starts = join(folder, 'starts');
const kvmDevice = join(folder, 'kvm');

const environment = {
  ...process.env,
  PATH: `${programs}:${process.env['PATH']}`,
  KUBE_IPVS_LAB_CACHE: cache,
  KUBE_IPVS_LAB_KVM: '',
  KUBE_IPVS_LAB_TRY_SECONDS: '20',
};

const lab = (parameters: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  spawnSync(script, parameters, { encoding: 'utf8', timeout: 60_000, env: { ...environment, ...more } });

/** A kernel as an argument keeps the host's kernel out, which some machines could use. */
const which = (wish: string, more: Readonly<Record<string, string>> = {}) =>
  lab(['--kernel', wish, '-K', 'word', '--which'], more);

const fileOf = (kernel: string, variable: string): string =>
  execFileSync(
    'bash',
    ['-c', `. "$1/scripts/kernel-lab/paths.sh"; lab_paths "$2"; echo "$${variable}"`, 'bash', root, kernel],
    { encoding: 'utf8', env: environment },
  ).trim();

const writeProgram = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
};

// ---- kernels

/** What User Mode Linux 6.1 prints on a processor with AMX. */
const amxLog = `Core dump limits :
	soft - NONE
Failed to get registers from stub: "ptrace get fp regs failed, errno = 5"
userspace - ptrace set fp regs failed, errno = 14
Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009
CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1`;

const behaviors = {
  boots: `
    for word; do case $word in *LAB_RUN=*) run=\${word#*LAB_RUN=}; run=\${run%% *} ;; esac; done
    : >"$run/started"; echo 0 >"$run/status"`,
  panics: `cat <<'E'\n${amxLog}\nE\nexit 134`,
  hangs: 'exec sleep 1000',
  leavesHelper: `
    for word; do case $word in *LAB_RUN=*) run=\${word#*LAB_RUN=}; run=\${run%% *} ;; esac; done
    bash -c 'exec {pipe}<> <(:); read -r -u "$pipe"' "$@" &
    : >"$run/started"; echo 0 >"$run/status"`,
};
type Behavior = keyof typeof behaviors;

const note = (name: string): string => `echo ${name} >>${starts}`;

const makeKernel = (kernel: string, behavior: Behavior): void =>
  writeProgram(fileOf(kernel, 'lab_kernel'), note(kernel) + '\n' + behaviors[behavior]);

/** The kernels that we build, in the order in which they are tried. */
const makeOwnKernels = (behavior: Behavior): void => {
  for (const version of ['7.2', '6.1']) makeKernel(version, behavior);
};

/** QEMU, by what happens with KVM and without. */
const makeQemu = ({ kvm, tcg }: { readonly kvm: Behavior; readonly tcg: Behavior }): void => {
  writeProgram(fileOf('qemu', 'lab_kernel'), '');
  writeProgram(fileOf('qemu', 'lab_initramfs'), '');
  writeProgram(
    join(programs, 'qemu-system-x86_64'),
    `case "$*" in\n*'-accel kvm'*) ${note('kvm')}\n${behaviors[kvm]} ;;\n*) ${note('tcg')}\n${behaviors[tcg]} ;;\nesac`,
  );
};

const started = (): readonly string[] =>
  existsSync(starts) ? readFileSync(starts, 'utf8').trimEnd().split('\n') : [];

beforeEach(() => {
  for (const path of [cache, programs, starts, kvmDevice]) rmSync(path, { recursive: true, force: true });
  writeProgram(fileOf('6.1', 'lab_init'), '');
});

// ---- choices

test('the kernel built from source is tried once, then used', () => {
  makeKernel('7.2', 'boots');
  for (let run = 0; run < 2; run += 1) {
    const { stdout, stderr, status } = which('guest');
    assert.deepEqual({ stdout, stderr, status }, { stdout: '7.2\n', stderr: '', status: 0 });
  }
  assert.deepEqual(started(), ['7.2']);
});

test('where it does not boot, the packaged one is next; one sentence says why, once', () => {
  makeOwnKernels('panics');
  makeKernel('packaged', 'boots');
  const first = which('guest');
  assert.equal(first.stdout, 'packaged\n');
  assert.equal(
    first.stderr,
    ['7.2', '6.1']
      .map(
        (version) =>
          `lab: kernel "${version}" does not work here: This processor's FPU state (AMX) is larger than this User Mode Linux ${version} supports. Use --kernel qemu.\n`,
      )
      .join(''),
  );
  const second = which('guest');
  assert.deepEqual([second.stdout, second.stderr], ['packaged\n', '']);
  assert.deepEqual(started(), ['7.2', '6.1', 'packaged']);
});

test('a kernel that does not start the command in time has failed too', () => {
  makeOwnKernels('hangs');
  makeKernel('packaged', 'boots');
  const { stdout, stderr } = which('guest', { KUBE_IPVS_LAB_TRY_SECONDS: '3' });
  assert.equal(stdout, 'packaged\n');
  assert.match(stderr, /"7\.2" does not work here: It did not start a command within 3 s\./);
});

test('QEMU is last', () => {
  makeOwnKernels('panics');
  makeKernel('packaged', 'panics');
  makeQemu({ kvm: 'panics', tcg: 'boots' });
  assert.equal(which('guest').stdout, 'qemu\n');
  assert.deepEqual(started(), ['7.2', '6.1', 'packaged', 'tcg']);
  assert.equal(lab(['--kernel', 'guest', '--', 'true']).status, 0);
  assert.deepEqual(started(), ['7.2', '6.1', 'packaged', 'tcg', 'tcg']);
});

test('where none works, the error names --doctor', () => {
  makeOwnKernels('panics');
  makeKernel('packaged', 'panics');
  makeQemu({ kvm: 'panics', tcg: 'panics' });
  const { status, stderr } = lab(['--kernel', 'guest', '--', 'true']);
  assert.equal(status, 125);
  assert.match(
    stderr,
    /lab: no kernel with IPVS works here; run "scripts\/lab --doctor" to see why, and what to do\n$/,
  );
  assert.doesNotMatch(stderr, /Kernel panic/);
});

test('a kernel that was made again is tried again', () => {
  makeOwnKernels('panics');
  makeKernel('packaged', 'boots');
  assert.equal(which('guest').stdout, 'packaged\n');
  makeKernel('7.2', 'boots');
  assert.equal(which('guest').stdout, '7.2\n');
});

test('quick does not build a kernel', () => {
  makeKernel('packaged', 'boots');
  assert.equal(which('quick').stdout, 'packaged\n');
  makeKernel('7.2', 'boots');
  assert.equal(which('quick').stdout, '7.2\n');
});

test('modular never takes our own kernel, which has IPVS built in', () => {
  for (const version of ['7.2', 'packaged']) makeKernel(version, 'boots');
  assert.equal(which('modular').stdout, 'packaged\n');
});

test('modular takes QEMU where the packaged kernel does not boot', () => {
  makeKernel('7.2', 'boots');
  makeKernel('packaged', 'panics');
  makeQemu({ kvm: 'hangs', tcg: 'boots' });
  assert.equal(which('modular').stdout, 'qemu\n');
});

test('a kernel that cannot be prepared is passed over, and not fetched again at once', () => {
  const failing = 'echo "$0 $*" >>' + join(folder, 'fetches') + '; echo no network >&2; exit 100';
  for (const program of ['apt-get', 'apt-cache', 'make']) writeProgram(join(programs, program), failing);
  // What a build needs is there, so that nothing is installed.
  for (const program of ['flex', 'bison', 'bc', 'xz']) writeProgram(join(programs, program), '');
  makeQemu({ kvm: 'panics', tcg: 'boots' });
  const first = which('guest');
  assert.equal(first.stdout, 'qemu\n', first.stderr);
  assert.match(first.stderr, /could not download the package linux-source-6\.1/);
  assert.match(first.stderr, /"packaged" does not work here: It could not be prepared\./);
  assert.deepEqual([which('guest').stdout, which('guest').stderr], ['qemu\n', '']);
});

test('--ready reports whether something is missing, and starts nothing', () => {
  assert.equal(lab(['--kernel', 'guest', '--ready']).status, 1);
  makeKernel('7.2', 'boots');
  assert.equal(lab(['--kernel', 'guest', '--ready']).status, 0);
  assert.deepEqual(started(), []);
});

// ---- KVM

for (const [behavior, used] of [
  ['boots', 'kvm'],
  ['hangs', 'tcg'],
  ['panics', 'tcg'],
] as const)
  test(`KVM that ${behavior}: QEMU uses ${used}, and KVM is tried once`, () => {
    makeQemu({ kvm: behavior, tcg: 'boots' });
    writeFileSync(kvmDevice, '');
    const withKvm = { KUBE_IPVS_LAB_KVM: kvmDevice, KUBE_IPVS_LAB_TRY_SECONDS: '3' };
    assert.equal(lab(['--kernel', 'qemu', '--', 'true'], withKvm).status, 0);
    assert.equal(lab(['--kernel', 'qemu', '--', 'true'], withKvm).stderr, '');
    assert.deepEqual(started(), ['kvm', used, used]);
  });

test('without a KVM device it is not tried', () => {
  makeQemu({ kvm: 'boots', tcg: 'boots' });
  assert.equal(lab(['--kernel', 'qemu', '--', 'true'], { KUBE_IPVS_LAB_KVM: kvmDevice }).status, 0);
  assert.deepEqual(started(), ['tcg']);
});

// ---- sentences

test('a kernel that was asked for and does not boot ends with 125 and one sentence; --log has the kernel’s words', () => {
  makeKernel('packaged', 'panics');
  const sentence =
    "lab: This processor's FPU state (AMX) is larger than the packaged User Mode Linux supports. Use --kernel 7.2 (built once, about five minutes) or --kernel qemu.\n";
  const plain = lab(['--kernel', 'packaged', '--', 'true']);
  assert.deepEqual([plain.status, plain.stderr], [125, sentence]);
  const { stderr } = lab(['--kernel', 'packaged', '--log', '--', 'true']);
  assert.ok(stderr.startsWith(sentence), stderr);
  assert.match(stderr, /^lab: \| userspace - ptrace set fp regs failed, errno = 14$/m);
});

for (const [log, sentence] of [
  [
    'Checking ptrace...\ncheck_ptrace : expected SIGSTOP: Operation not permitted',
    /may not trace its own processes/,
  ],
  ['qemu: cannot set up guest memory: Cannot allocate memory', /memory does not fit .* smaller --memory/],
  ['Could not access KVM kernel module: Permission denied', /KVM does not work here .* --kernel qemu-tcg/],
  [
    'Kernel panic - not syncing: No working init found.\nmore',
    /panicked while it booted: No working init found\. --log/,
  ],
  ['linux: Exec format error', /cannot be started: linux: Exec format error\./],
  ['some other end', /ended before it started the command: some other end\. --log/],
  ['', /ended without output/],
] as const)
  test(`the end of a boot in a sentence: ${log.split('\n').at(-1)}`, () => {
    writeProgram(join(folder, 'odd'), `cat <<'E'\n${log}\nE\nexit 1`);
    const { status, stderr } = lab(['--kernel', join(folder, 'odd'), '--', 'true']);
    assert.equal(status, 125);
    assert.match(stderr, sentence);
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  });

// ---- --doctor

const doctorRows = (output: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...output.matchAll(/^ {2}([✓✗-]) (\S+) +(.*(?:\n {14}.*)*)$/gm)].map(
      ([, mark = '', name = '', text = '']) => [name, `${mark} ${text.replaceAll(/\s+/g, ' ')}`],
    ),
  );

test('--doctor says of each kernel whether it works, why not, and what to do; it fails where none does', () => {
  const nothing = lab(['--doctor']);
  const before = doctorRows(nothing.stdout);
  assert.deepEqual(Object.keys(before), ['host', '7.2', '6.1', 'packaged', 'qemu', 'kvm'], nothing.stdout);
  assert.match(before['packaged'] ?? '', /^- Not prepared yet .*: scripts\/lab --kernel packaged --prepare/);

  makeOwnKernels('panics');
  makeKernel('packaged', 'panics');
  makeQemu({ kvm: 'hangs', tcg: 'boots' });
  writeFileSync(kvmDevice, '');
  const some = lab(['--doctor'], { KUBE_IPVS_LAB_KVM: kvmDevice, KUBE_IPVS_LAB_TRY_SECONDS: '3' });
  const rows = doctorRows(some.stdout);
  assert.match(rows['6.1'] ?? '', /^✗ This processor's FPU state \(AMX\) .* Use --kernel qemu\.$/);
  assert.match(rows['packaged'] ?? '', /^✗ This processor's FPU state \(AMX\) .* Use --kernel 7\.2 /);
  assert.match(rows['qemu'] ?? '', /^✓ Stock kernel of Debian in QEMU, .* boots and ends in \d+\.\d s\.$/);
  assert.match(rows['kvm'] ?? '', /^✗ Linux does not boot with it /);
  assert.equal(some.status, 0);
  if (!before['host']?.startsWith('✓')) {
    assert.equal(nothing.status, 1);
    assert.match(nothing.stdout, /No kernel is ready\. Next: scripts\/lab --prepare/);
    assert.match(some.stdout, /Commands run on "qemu", unless --kernel chooses another\./);
  }
});

test('--doctor tries again what failed before', () => {
  makeKernel('packaged', 'hangs');
  makeQemu({ kvm: 'boots', tcg: 'boots' });
  assert.equal(which('quick', { KUBE_IPVS_LAB_TRY_SECONDS: '3' }).stdout, 'qemu\n');
  // The file is older than the result that is remembered: only --doctor finds out.
  makeKernel('packaged', 'boots');
  execFileSync('touch', ['-d', '2020-01-01', fileOf('packaged', 'lab_kernel')]);
  assert.equal(which('quick').stdout, 'qemu\n');
  assert.match(doctorRows(lab(['--doctor']).stdout)['packaged'] ?? '', /^✓/);
  assert.equal(which('quick').stdout, 'packaged\n');
});

// ---- the end

test('a process that outlives the guest and keeps its output open is ended', () => {
  makeKernel('7.2', 'leavesHelper');
  const { status, signal, stderr } = lab(['--kernel', '7.2', '--', 'true']);
  assert.deepEqual([status, signal], [0, null], stderr);
});

// ---- the source of the kernel

/** The lines that count in arch/x86/um/user-offsets.c of Linux 6.1. */
const offsets = (x86_64: string): string => `#ifdef __i386__
\tDEFINE_LONGS(HOST_FP_SIZE, sizeof(struct user_fpregs_struct));
#else
#ifdef FP_XSTATE_MAGIC1
${x86_64}#else
\tDEFINE(HOST_FP_SIZE, sizeof(struct _fpstate) / sizeof(unsigned long));
#endif
#endif
`;

for (const [what, before, expected] of [
  [
    'as in 6.1 is enlarged',
    '\tDEFINE_LONGS(HOST_FP_SIZE, 2696);\n',
    '\tDEFINE_LONGS(HOST_FP_SIZE, 12288);\n',
  ],
  ['that is enlarged already stays', '\tDEFINE_LONGS(HOST_FP_SIZE, 12288);\n', undefined],
  ['that the host sizes needs nothing', '', undefined],
  ['of another fixed size is refused', '\tDEFINE_LONGS(HOST_FP_SIZE, 4096);\n', 'refused'],
] as const)
  test(`a buffer for the FPU state ${what}`, () => {
    const file = join(folder, 'user-offsets.c');
    writeFileSync(file, offsets(before));
    const { status, stdout } = spawnSync(
      'bash',
      ['-c', '. "$1/scripts/kernel-lab/fpu-buffer.sh"; enlarge_fpu_buffer "$2"', 'bash', root, file],
      { encoding: 'utf8' },
    );
    assert.equal(status, expected === 'refused' ? 1 : 0);
    assert.equal(stdout, expected === 'refused' ? before : '');
    if (expected !== 'refused') assert.equal(readFileSync(file, 'utf8'), offsets(expected ?? before));
  });
