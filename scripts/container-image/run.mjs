// Runs a container image with crun, without a daemon; scripts/image --run starts this.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    image: { type: 'string' },
    temporary: { type: 'boolean', default: false },
    privileged: { type: 'boolean', default: false },
    kubeadm: { type: 'boolean', default: false },
    user: { type: 'string' },
    capability: { type: 'string', multiple: true, default: ['CAP_NET_ADMIN'] },
    mount: { type: 'string', multiple: true, default: [] },
    command: { type: 'string' },
    namespace: { type: 'string' },
    unpacked: { type: 'string' },
  },
});

const work = mkdtempSync(join(tmpdir(), 'kube-ipvs-run-'));
const unpacked = resolve(values.unpacked ?? work);
const rootDirectory = join(unpacked, 'rootfs');
const settingsFile = join(unpacked, 'settings.json');

const must = (command, ...args) => {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? `status ${status}`}`);
};

const blobPath = (digest) => `blobs/${digest.replace(':', '/')}`;
/** The names of the image specification (GOARCH). */
const architectures = { x64: 'amd64', arm64: 'arm64' };

/** Unpacks the layers, unless an earlier run has, and returns the image's configuration. */
const unpack = () => {
  if (existsSync(settingsFile)) return JSON.parse(readFileSync(settingsFile, 'utf8'));
  const image = join(work, 'image');
  mkdirSync(image);
  mkdirSync(rootDirectory, { recursive: true });
  must('tar', '-xf', resolve(values.image), '-C', image);
  const read = (path) => JSON.parse(readFileSync(join(image, path), 'utf8'));
  const readBlob = ({ digest }) => read(blobPath(digest));
  const [entry] = read('index.json').manifests;
  const described = entry.mediaType.includes('.index.')
    ? readBlob(entry).manifests.find(({ platform }) => platform.architecture === architectures[process.arch])
    : entry;
  if (described === undefined) throw new Error(`${values.image} has no image for ${process.arch}`);
  const { config, layers } = readBlob(described);
  const asInTheArchive = ['--xattrs', '--xattrs-include=security.capability', '--same-owner', '-p'];
  for (const { digest } of layers)
    must('tar', '-xzf', join(image, blobPath(digest)), '-C', rootDirectory, ...asInTheArchive);
  const settings = readBlob(config).config;
  rmSync(image, { recursive: true });
  writeFileSync(settingsFile, JSON.stringify(settings));
  return settings;
};

/** By number (include/uapi/linux/capability.h). */
const capabilityNames =
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`.split(/\s+/);

/** The capabilities that a container may get: those of this process's bounding set. */
const allCapabilities = () => {
  const [, set] = /^CapBnd:\s+(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return capabilityNames
    .filter((_, number) => (BigInt(`0x${set}`) >> BigInt(number)) & 1n)
    .map((name) => `CAP_${name}`);
};

const isPrivileged = values.privileged || values.kubeadm;

const wantedCapabilities = () => {
  if (isPrivileged) return allCapabilities();
  return values.capability.filter((name) => name !== 'none');
};

/** The paths that container runtimes hide from a container or make read-only, unless it is privileged. */
const protectedPaths = {
  maskedPaths: ['/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
  readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
};

const mounts = () => {
  const writable = isPrivileged ? 'rw' : 'ro';
  const own = [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/sys',
      type: 'none',
      source: '/sys',
      options: ['rbind', 'nosuid', 'noexec', 'nodev', writable],
    },
  ];
  const asked = values.mount.map((pair) => {
    const [from, to, access = 'ro'] = pair.split(':');
    if (!from || !to || !existsSync(from) || !['ro', 'rw'].includes(access))
      throw new Error(`--mount ${pair}: must be FROM:TO or FROM:TO:rw, and FROM exist`);
    return { destination: to, type: 'none', source: resolve(from), options: ['rbind', access] };
  });
  return [...own, ...asked];
};

const networkNamespace = () =>
  values.namespace === undefined ? [] : [{ type: 'network', path: `/run/netns/${values.namespace}` }];

/** The configuration that a kubelet's runtime writes for a host network pod (opencontainers runtime-spec v1). */
const bundleOf = ({ User, Env, Entrypoint, WorkingDir }) => {
  const user = values.user ?? (values.privileged ? '0' : User);
  // In Kubernetes, runAsUser without runAsGroup means group root.
  const [uid, gid = 0] = user.split(':').map(Number);
  const capabilities = wantedCapabilities();
  const command = values.command === undefined ? Entrypoint : [values.command];
  return {
    ociVersion: '1.0.0',
    process: {
      terminal: false,
      user: { uid, gid },
      args: [...command, ...positionals],
      env: Env,
      cwd: WorkingDir,
      // As a container runtime does: none in the ambient set, which Kubernetes does not support.
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: false,
    },
    root: { path: rootDirectory, readonly: !values.kubeadm },
    mounts: mounts(),
    linux: {
      namespaces: [...['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })), ...networkNamespace()],
      ...(isPrivileged ? {} : protectedPaths),
    },
  };
};

let stop = () => {};
let isStopped = false;
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    isStopped = true;
    stop(signal);
  });

/** crun insists on cgroups of version 2 even if it does not use them; not every machine and namespace has them. */
const withCgroups = `
  [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit
  exec "$0" "$@"`;

/** Returns the exit status. Sends signals to the process in the container, because crun does not forward them. */
const start = () =>
  new Promise((done, fail) => {
    const name = `kube-ipvs-${process.pid}`;
    const global = [`--root=${join(work, 'state')}`, '--cgroup-manager=disabled'];
    // A separate process group, or the terminal would send it each signal a second time.
    const options = { stdio: 'inherit', detached: true };
    const run = ['crun', ...global, 'run', `--bundle=${work}`, name];
    const crun = spawn('unshare', ['--mount', 'sh', '-c', withCgroups, ...run], options);
    stop = (signal) => spawnSync('crun', [...global, 'kill', name, signal], { stdio: 'ignore' });
    crun.on('error', fail);
    crun.on('close', (status) => done(status ?? 1));
  });

try {
  writeFileSync(join(work, 'config.json'), JSON.stringify(bundleOf(unpack())));
  process.exitCode = isStopped ? 143 : await start();
} catch (error) {
  console.error(`image: ${error.message}`);
  process.exitCode = 125;
} finally {
  rmSync(work, { recursive: true, force: true });
  if (values.temporary) rmSync(dirname(values.image), { recursive: true, force: true });
}
