import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// scripts/fresh with a checkout of its own and a small installation in place of Debian's.

const root = fileURLToPath(new URL('../../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-fresh-test-'));
const checkout = join(scratch, 'checkout');
const cache = join(scratch, 'cache');
const labCache = join(scratch, 'lab-cache');
const archive = join(scratch, 'installation.tar');
after(() => rmSync(scratch, { recursive: true }));

const environment = {
  ...process.env,
  KUBE_IPVS_FRESH_CACHE: cache,
  KUBE_IPVS_FRESH_ARCHIVE: archive,
  KUBE_IPVS_LAB_CACHE: labCache,
  NODE_EXTRA_CA_CERTS: undefined,
  SSL_CERT_FILE: undefined,
  SECRET_OF_THIS_MACHINE: 'yes',
};

const script = join(checkout, 'scripts/fresh');
const fresh = (...args: readonly string[]) =>
  spawnSync(script, args, { encoding: 'utf8', cwd: scratch, env: environment });
/** What a bash script prints there. */
const printed = (text: string, ...options: readonly string[]): string => {
  const { status, stdout, stderr } = fresh(...options, '--', 'bash', '-c', text);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
};
const runs = (): readonly string[] => readdirSync(cache).filter((name) => name.startsWith('work.'));

const shell = (text: string, cwd: string): void => {
  const { status, stdout, stderr } = spawnSync('bash', ['-euc', text], { encoding: 'utf8', cwd });
  assert.equal(status, 0, stdout + stderr);
};

before(() => {
  const installation = join(scratch, 'installation');
  for (const folder of ['usr/bin', 'usr/local/share', 'etc', 'dev', 'proc', 'sys', 'run', 'tmp', 'root'])
    mkdirSync(join(installation, folder), { recursive: true });
  shell(
    `for program in bash cat env ls rmdir sleep umount unshare true; do
       file=$(type -P $program)
       cp -L "$file" usr/bin/
       cp -L --parents $(ldd "$file" | grep -o '/[^ ]*') .
     done
     [ -e bin ] || ln -s usr/bin bin
     tar cf ${archive} .`,
    installation,
  );
  mkdirSync(join(checkout, 'scripts'), { recursive: true });
  for (const name of ['fresh', 'need']) cpSync(join(root, 'scripts', name), join(checkout, 'scripts', name));
  writeFileSync(join(checkout, 'committed'), 'committed\n');
  writeFileSync(join(checkout, 'deleted'), 'deleted\n');
  shell(
    `git init -q
     git add .
     git -c user.name=Test -c user.email=test@example.com commit -qm first
     echo changed >committed
     rm deleted
     echo added >added
     git add added
     echo untracked >untracked`,
    checkout,
  );
});

test('--help shows how it is used, and a wrong call is refused', () => {
  assert.match(fresh('--help').stdout, /^Usage: scripts\/fresh/);
  for (const args of [[], ['--nonsense']]) {
    const { status, stderr } = fresh(...args);
    assert.equal(status, 125);
    assert.match(stderr, /Usage|unknown option --nonsense/);
  }
});

test('the command gets the tracked files as they are in the checkout, and no others', () => {
  assert.equal(
    printed('echo $PWD; ls; cat committed added'),
    '/root/kube-ipvs\nadded\ncommitted\nscripts\nchanged\nadded\n',
  );
});

test('a checkout that is not a git repository is copied whole, without what setup makes', () => {
  const unpacked = join(scratch, 'unpacked');
  cpSync(checkout, unpacked, { recursive: true, filter: (source) => source !== join(checkout, '.git') });
  for (const folder of ['node_modules', 'dist']) mkdirSync(join(unpacked, folder));
  const { status, stdout, stderr } = spawnSync(join(unpacked, 'scripts/fresh'), ['ls'], {
    encoding: 'utf8',
    env: environment,
  });
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'added\ncommitted\nscripts\nuntracked\n');
});

test('the command sees no file, process or variable of this machine', () => {
  const seen = printed(`[ -e ${scratch} ] && echo scratch; [ -e /.machine ] && echo machine
    echo "\${SECRET_OF_THIS_MACHINE:-no} $HOME $$"; read -r name </proc/sys/kernel/hostname; echo $name; ls /`);
  assert.match(seen, /^no \/root \d{1,3}\nfresh\nbin\n/);
});

test('the command may make user namespaces, as User Mode Linux does', () => {
  assert.equal(printed('unshare --user true && echo made'), 'made\n');
});

test('devices and shared memory are there, virtualization is not', () => {
  assert.equal(
    printed(
      'echo lost >/dev/null; echo kept >/dev/shm/x; cat /dev/shm/x; ls /dev/pts/ptmx /dev/kvm 2>/dev/null; true',
    ),
    'kept\n/dev/pts/ptmx\n',
  );
});

test('the exit status is the command’s, and nothing is left', () => {
  for (const [text, status] of [
    ['exit 7', 7],
    ['kill -KILL $BASHPID', 137],
  ] as const)
    assert.equal(fresh('--', 'bash', '-c', text).status, status, text);
  assert.equal(fresh('--', '/no/such/command').status, 127);
  assert.deepEqual(runs(), []);
});

test('standard input is the command’s', () => {
  const { stdout } = spawnSync(script, ['cat'], { encoding: 'utf8', env: environment, input: 'typed' });
  assert.equal(stdout, 'typed');
});

test('the cache of built kernels is shared unless it is not to be', () => {
  printed('echo built >~/.cache/kube-ipvs-lab/kernel');
  assert.equal(readFileSync(join(labCache, 'kernel'), 'utf8'), 'built\n');
  assert.equal(printed('[ -e ~/.cache/kube-ipvs-lab ] || echo none', '--no-lab-cache'), 'none\n');
});

test('--keep keeps the installation and tells its path', () => {
  const { stderr } = fresh('--keep', '--', 'bash', '-c', 'echo left >/root/left');
  const path = /the installation is in (.*)\n/.exec(stderr)?.[1] ?? '';
  assert.equal(readFileSync(join(path, 'root/left'), 'utf8'), 'left\n');
});

/** Starts a command that does not end, and waits until it runs. */
const started = async () => {
  const child = spawn(script, ['--', 'bash', '-c', 'echo runs; sleep 1000'], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
};

test('SIGTERM ends the command and removes its files', async () => {
  const child = await started();
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [143, null]);
  assert.deepEqual(runs(), []);
});

test('a killed run ends its command, and the next run removes its files', async () => {
  const child = await started();
  const [left = ''] = runs();
  child.kill('SIGKILL');
  // The pipe closes when the last process of the command has ended.
  await once(child, 'close');
  assert.equal(existsSync(join(cache, left)), true);
  printed('true');
  assert.deepEqual(runs(), []);
});
