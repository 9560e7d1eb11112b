import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../support/eventually.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const script = join(root, 'scripts/lab');
const network = join(root, 'scripts/kernel-lab/network');

const lab = (...parameters: string[]) =>
  spawnSync(script, parameters, { encoding: 'utf8', cwd: root, timeout: 300_000 });

/** Runs a shell text in the lab. */
const inLab = (text: string, ...options: string[]) => lab(...options, '--', 'sh', '-c', text);

/** A guest is what these tests are about; a kernel is not built for them, as that takes minutes. */
const guestOptions = ['--kernel', 'guest'];

const guestsOf = (owner: ChildProcess): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`kube-ipvs-lab.${owner.pid}.`);
      } catch {
        return false; // it has ended meanwhile
      }
    });

test('--help shows how it is used, and a wrong option is refused', () => {
  assert.match(lab('--help').stdout, /^Usage: scripts\/lab/);
  assert.equal(lab('--nonsense').status, 125);
});

test('in the lab', async (t) => {
  assert.equal(lab(...guestOptions, '--ready').status, 0, 'first: scripts/lab --kernel guest --prepare');

  await t.test('the exit status is the command’s', () => {
    for (const [text, status] of [
      ['exit 3', 3],
      ['kill -SEGV $$', 139],
      ['/no/such/command', 127],
    ] as const) {
      assert.equal(inLab(text, ...guestOptions).status, status, text);
    }
  });

  await t.test('stdout and stderr stay apart, and are no terminal', () => {
    const { stdout, stderr } = inLab('test -t 1 || echo plain; echo apart >&2', ...guestOptions);
    assert.equal(stdout, 'plain\n');
    assert.equal(stderr, 'apart\n');
  });

  await t.test('arguments and environment pass unharmed', () => {
    const word = 'it\'s "one"\n $word';
    const result = spawnSync(
      script,
      [...guestOptions, '--', 'sh', '-c', 'printf "%s|%s" "$1" "$VALUE"', 'sh', word],
      {
        encoding: 'utf8',
        env: { ...process.env, VALUE: word },
      },
    );
    assert.equal(result.stdout, `${word}|${word}`);
  });

  await t.test('standard input arrives when asked for', () => {
    const result = spawnSync(script, [...guestOptions, '--stdin', '--', 'cat'], {
      encoding: 'utf8',
      input: 'a\nb',
    });
    assert.equal(result.stdout, 'a\nb');
  });

  await t.test('the kernel has IPVS, unless told not to start it', () => {
    const probe = 'test -e /proc/net/ip_vs';
    assert.equal(inLab(probe, ...guestOptions).status, 0);
    assert.equal(inLab(probe, ...guestOptions, '-K', 'initcall_blacklist=ip_vs_init').status, 1);
  });

  await t.test('files are kept only below a directory that is written through', () => {
    const directory = mkdtempSync(join(homedir(), '.kube-ipvs-lab-test-'));
    const lost = `${directory}.lost`;
    try {
      inLab(
        `echo kept >${directory}/kept; echo lost >${lost}; rm ${script}`,
        ...guestOptions,
        '-w',
        directory,
      );
      assert.equal(readFileSync(join(directory, 'kept'), 'utf8'), 'kept\n');
      assert.ok(!existsSync(lost) && existsSync(script));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  await t.test('the time limit ends the command with 124', () => {
    assert.equal(inLab('sleep 60', ...guestOptions, '-t', '1').status, 124);
  });

  await t.test('a panic ends with 125 and the kernel log', () => {
    const { status, stderr } = inLab('echo c >/proc/sysrq-trigger', ...guestOptions);
    assert.equal(status, 125);
    assert.match(stderr, /Kernel panic/);
  });

  await t.test('virtual time makes an hour short', () => {
    assert.equal(inLab('sleep 3600', ...guestOptions, '-K', 'time-travel').status, 0);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
    await t.test(`${signal} leaves no process behind`, async () => {
      const child = spawn(script, [...guestOptions, '--', 'sh', '-c', 'echo started; sleep 60'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await once(child.stdout, 'data');
      assert.notEqual(guestsOf(child).length, 0);
      child.kill(signal);
      await once(child, 'exit');
      await until('no process is left', () => guestsOf(child).length === 0);
    });
  }

  await t.test('the network connects the client with the pods', () => {
    const served = `
      ${network} up --pods 3 && cd /tmp && echo here >index.txt || exit
      for address in 10.244.0.13 fd00:244::13; do
        ip netns exec pod3 node -e "require('net').createServer((s) => s.end('here')).listen(80, '::')" &
        ip netns exec client node -e "
          const connect = (tries) => require('net').connect(80, '$address')
            .on('data', (d) => { console.log(String(d)); process.exit(); })
            .on('error', () => { if (tries > 0) setTimeout(connect, 50, tries - 1); });
          connect(40)"
        kill $!; wait
      done
      ${network} down && ip netns list`;
    assert.equal(inLab(served, ...guestOptions).stdout, 'here\nhere\n');
  });
});
