import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { main } from '../support/program.js';
import { ClusterNetwork, HoldingClient } from '../support/cluster-network.js';
import { run } from '../support/lab-guest.js';
import { TerminalScreen } from '../support/terminal-screen.js';

// What its rows look like without a daemon.
process.env['KUBE_IPVS_ADMIN_SOCKET'] = '';

// Runs in the lab, in a real terminal (tmux): scripts/lab -- node --test build/test/kernel/top.test.js

const top = `ip netns exec node ${process.execPath} ${main} top --interval 500ms`;
const onNode = (command: string, ...args: readonly string[]): string =>
  run('ip', 'netns', 'exec', 'node', command, ...args);

// 192.0.2.1:30080 and its real server are there (scripts/kernel-lab/network), the others are not.
const table = `
-A -t 192.0.2.1:30080 -s rr
-a -t 192.0.2.1:30080 -r 10.244.0.11:8080 -m -w 1
-A -t 10.96.0.1:443 -s rr
-a -t 10.96.0.1:443 -r 10.200.0.1:6443 -m -w 1
-a -t 10.96.0.1:443 -r 10.200.0.2:6443 -m -w 0
-A -u [fd00:10:96::a]:53 -s lc
-a -u [fd00:10:96::a]:53 -r [fd00:10:244::17]:53 -m -w 1
`;

test('top', async (t) => {
  await using _network = await ClusterNetwork.up(1);
  execFileSync('ip', ['netns', 'exec', 'node', 'ipvsadm', '-R'], { input: table.trimStart() });

  await t.test(
    'shows the table, opens a virtual server, comes back and gives the terminal back',
    async () => {
      using screen = new TerminalScreen(`echo before; ${top}`);
      const lines = await screen.shows(/>TCP 10\.96\.0\.1:443/);
      assert.equal(lines.length > 20, true);
      assert.match(lines[0] ?? '', /^kube-ipvs top {2}\S+ {2}\d\d:\d\d:\d\d {2}every 500ms$/);
      assert.equal(lines[1], '3 virtual, 4 real  0 conn/s  0 active  0 inactive  in 0 B/s  out 0 B/s');
      assert.match(lines[23] ?? '', /^q quit {2}↑↓ move/);
      assert.equal(screen.cursorIsVisible, false);
      screen.press('Enter');
      await screen.shows(/Services › TCP 10\.96\.0\.1:443\n/);
      screen.press('Enter');
      const real = await screen.shows(/10\.200\.0\.2:6443 \(draining\) {2}weight/);
      assert.equal(real[2], 'Services › TCP 10.96.0.1:443 › TCP 10.96.0.1:443');
      screen.press('Left', 'Left');
      await screen.shows(/^Services$/m);
      screen.press('/', 'fd00', 'Enter');
      const filtered = await screen.shows(/Services {2}\/ fd00$/m);
      assert.equal(
        filtered.some((line) => line.includes('10.96.0.1:443')),
        false,
      );
      screen.press('q');
      const after = await screen.shows(/status 0/);
      assert.equal(after[0], 'before');
      assert.equal(screen.cursorIsVisible, true);
    },
  );

  await t.test('follows the size of the terminal', async () => {
    using screen = new TerminalScreen(top, { columns: 80, rows: 24 });
    await screen.shows(/INACTIVE {2}IN B\/S/);
    screen.resize(120, 30);
    const wide = await screen.shows(/IN P\/S/);
    assert.match(wide[29] ?? '', /^q quit/);
    screen.resize(60, 10);
    await screen.shows(/^q quit/m);
    assert.equal(
      screen.lines().every((line) => line.length <= 60),
      true,
    );
    screen.press('C-c');
    await screen.shows(/status 0/);
  });

  await t.test('the table changes under it', async () => {
    using screen = new TerminalScreen(`${top} --by virtual --sort name`);
    await screen.shows(/>TCP 10\.96\.0\.1:443/);
    onNode('ipvsadm', '-A', '-t', '10.96.0.77:80', '-s', 'lc');
    await screen.shows(/TCP 10\.96\.0\.77:80 {2}lc 0 real/);
    screen.press('p');
    await screen.shows(/PAUSED/);
    onNode('ipvsadm', '-D', '-t', '10.96.0.77:80');
    screen.press('p');
    await screen.shows(/^3 virtual/m);
    screen.press('q');
    await screen.shows(/status 0/);
  });

  await t.test('a terminal without colours gets none, and the marked line is told by its sign', async () => {
    const drains = /^ 10\.200\.0\.2:6443 \(draining\)/m;
    using coloured = new TerminalScreen(`${top} --by real`);
    await coloured.shows(drains);
    assert.equal(coloured.colours, 1);
    coloured.press('q');
    using screen = new TerminalScreen(`NO_COLOR=1 ${top} --by real`);
    await screen.shows(drains);
    await screen.shows(/^>\[fd00:10:244::17\]:53/m);
    assert.equal(screen.colours, 0);
    screen.press('q');
    await screen.shows(/status 0/);
  });

  await t.test('SIGTERM gives the terminal back too', async () => {
    using screen = new TerminalScreen(`echo before; sh -c 'echo $$ > /run/top.pid; exec ${top}'`);
    await screen.shows(/>TCP 10\.96\.0\.1:443/);
    execFileSync('sh', ['-c', 'kill $(cat /run/top.pid)']);
    const after = await screen.shows(/status 0/);
    assert.equal(after[0], 'before');
  });

  await t.test('Ctrl-Z stops it, fg brings it back', async () => {
    using screen = new TerminalScreen(`bash --norc -i`);
    screen.press(top, 'Enter');
    await screen.shows(/>TCP 10\.96\.0\.1:443/);
    screen.press('C-z');
    await screen.shows(/Stopped/);
    screen.press('fg', 'Enter');
    await screen.shows(/>TCP 10\.96\.0\.1:443/);
    screen.press('q');
    await screen.shows(/^bash\S*[#$]$/m);
  });

  await t.test('what flows is shown as it flows', async () => {
    using screen = new TerminalScreen(`${top} --by real --sort active`);
    await screen.shows(/^ REAL SERVER/m);
    await using holding = new HoldingClient('client', '192.0.2.1', 30080);
    await holding.open();
    await holding.open();
    await screen.shows(/^>10\.244\.0\.11:8080 {2}in 1 virtual +[\d.]+ +2 +0 /m);
    await using asking = new HoldingClient('client', '192.0.2.1', 30080);
    for (let index = 0; index < 20; index += 1) await asking.open();
    const lines = await screen.shows(
      /^>10\.244\.0\.11:8080 {2}in 1 virtual +[\d.]*[1-9]\d*(\.\d)? +22 +0 +[\d.]*[1-9]/m,
    );
    assert.match(lines[1] ?? '', / 22 active {2}0 inactive {2}in \d/);
    screen.press('q');
    await screen.shows(/status 0/);
  });

  await t.test('without a terminal it says what to do', () => {
    const { status, stderr } = spawnSync(process.execPath, [main, 'top'], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /^kube-ipvs: top needs a terminal\. Run `kube-ipvs top --batch`/);
  });

  await t.test('--batch prints so many looks', () => {
    const text = onNode(
      process.execPath,
      main,
      'top',
      '-b',
      '-n',
      '2',
      '-d',
      '100ms',
      '-o',
      'json',
      '--sort',
      'name',
    );
    const looks = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { rows: readonly { name: string }[] });
    const names = ['TCP 10.96.0.1:443', 'TCP 192.0.2.1:30080', 'UDP [fd00:10:96::a]:53'];
    assert.deepEqual(
      looks.map(({ rows }) => rows.map(({ name }) => name)),
      [names, names],
    );
  });
});
