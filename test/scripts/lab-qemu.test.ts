// Boots Debian's stock kernel in QEMU with an emulated processor, as scripts/lab does where no User Mode Linux runs. A boot
// is expensive: all that is to be seen is seen in one guest.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertQuickstartShown } from '../support/quickstart-output.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const script = join(root, 'scripts/lab');
const written = mkdtempSync(join(homedir(), '.kube-ipvs-lab-test,'));
after(() => rmSync(written, { recursive: true }));

const word = 'it\'s "one"\n $word';

const inGuest = `
show() { printf '== %s\\n' "$1"; }
echo apart >&2
show live
until [ -e "${written}/seen" ]; do sleep 0.1; done
show word; printf '%s|%s\\n' "$1" "$VALUE"
show stdin; cat
show environment; echo "$KUBE_IPVS_LAB $PWD"; id -u; test -t 1 || echo plain
show files; echo kept >"${written}/kept"; echo lost >"${written}.lost"; rm "${script}"; test -e "${script}" || echo removed
show kernel; cat /proc/cmdline; awk '/MemTotal/ { print $2 }' /proc/meminfo
show network; ls /sys/class/net
show dummy; ip link add dum0 type dummy && ip -o link show dum0
show ipvs; test -e /proc/net/ip_vs || echo unloaded; modprobe ip_vs; head -1 /proc/net/ip_vs
show quickstart; scripts/quickstart --inside
exit 3`;

interface Result {
  readonly status: number | null;
  readonly stderr: string;
  readonly log: string;
  readonly sections: Readonly<Record<string, string>>;
  readonly outputBeforeEnd: string;
}

const sectionsOf = (stdout: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    stdout
      .split(/^== /m)
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf('\n')), section.slice(section.indexOf('\n') + 1)]),
  );

const runGuest = async (): Promise<Result> => {
  const options = [
    '--kernel',
    'qemu-tcg',
    '-t',
    '280',
    '-i',
    '-w',
    written,
    '-m',
    '900M',
    '-K',
    'lab.word=1',
    '-v',
  ];
  const guest = spawn(script, [...options, '--', 'sh', '-c', inGuest, 'sh', word], {
    cwd: root,
    env: { ...process.env, VALUE: word },
  });
  guest.stdin.end('a\nb\n');
  const status = new Promise<number | null>((resolve) => guest.on('close', resolve));
  // The command goes on only after its first words have come.
  let outputBeforeEnd = '';
  guest.stdout.once('data', (data) => {
    outputBeforeEnd = String(data);
    writeFileSync(join(written, 'seen'), '');
  });
  const [stdout, words] = await Promise.all([text(guest.stdout), text(guest.stderr)]);
  const lines = words.split(/^/m);
  const isLog = (line: string) => line.startsWith('lab: | ');
  return {
    status: await status,
    stderr: lines.filter((line) => !isLog(line)).join(''),
    log: lines.filter(isLog).join(''),
    sections: sectionsOf(stdout),
    outputBeforeEnd,
  };
};

let result: Result;
before(async () => {
  const prepared = spawnSync(script, ['--kernel', 'qemu-tcg', '--prepare'], { encoding: 'utf8' });
  assert.equal(prepared.status, 0, prepared.stderr);
  result = await runGuest();
});

const section = (name: string): string =>
  result.sections[name] ?? assert.fail(`no ${name}: ${JSON.stringify(result)}`);

test('the exit status is the command’s, stderr is apart, output comes as it is written', () => {
  assert.equal(result.status, 3, result.stderr + result.log);
  assert.equal(result.stderr, 'apart\n');
  assert.equal(result.outputBeforeEnd, '== live\n');
});

test('arguments, environment, directory and standard input pass unharmed', () => {
  assert.equal(section('word'), `${word}|${word}\n`);
  assert.equal(section('stdin'), 'a\nb\n');
  assert.equal(section('environment'), `qemu ${root.replace(/\/$/, '')}\n0\nplain\n`);
});

test('files are kept only below a directory that is written through', () => {
  assert.equal(section('files'), 'removed\n');
  assert.equal(readFileSync(join(written, 'kept'), 'utf8'), 'kept\n');
  assert.ok(!existsSync(`${written}.lost`) && existsSync(script));
});

test('kernel arguments and memory are as asked for; the log is shown with -v', () => {
  const [line = '', memory = ''] = section('kernel').trimEnd().split('\n');
  assert.match(line, / lab\.word=1 /);
  assert.ok(Number(memory) > 700_000 && Number(memory) < 900 * 1024, memory);
  assert.match(result.log, /reboot: Power down/);
});

test('the only network is loopback; modules are loaded as the kernel or modprobe asks for them', () => {
  assert.equal(section('network'), 'lo\n');
  assert.match(section('dummy'), /dum0: <BROADCAST,NOARP>/);
  assert.match(section('ipvs'), /^unloaded\nIP Virtual Server version/);
});

test('the quickstart shows the same as on every other kernel', () => {
  assertQuickstartShown(section('quickstart'));
});
