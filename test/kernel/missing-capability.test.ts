import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/lab-guest.js';
import { readableProgram } from '../support/readable-program.js';

test('without the right to administer the network the daemon says which one is missing and how to get it', () => {
  const args = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', '--'];
  const program = ['dist/kube-ipvs.js', '--proxy-mode=ipvs', '--source=examples'];
  const { status, stderr } = spawnSync('setpriv', [...args, process.execPath, ...program], {
    encoding: 'utf8',
  });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /NET_ADMIN/);
  assert.match(stderr, /EPERM/);
});

/** The daemon's log lines about other rules, as user 65532 with NET_ADMIN alone and this group. */
const toldOfRules = (group: number): readonly string[] => {
  const args = [
    `--reuid=65532`,
    `--regid=${group}`,
    '--clear-groups',
    '--bounding-set=-all,+net_admin',
    '--inh-caps=-all,+net_admin',
    '--ambient-caps=+net_admin',
    '--',
  ];
  const [node, main] = readableProgram();
  const source = join(dirname(main), '../examples');
  const program = [node, main, '--proxy-mode=ipvs', `--source=${source}`, '--once', '--logging-format=json'];
  const { status, stderr } = spawnSync('setpriv', [...args, ...program], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stderr
    .split('\n')
    .filter((line) => /"event":"(replies-blocked|forward-policy-unreadable)"/.test(line));
};

test('with NET_ADMIN and the group root the daemon sees the rules of iptables-legacy, with another group it tells which group can', () => {
  // What NET_ADMIN may not set is set.
  run(process.execPath, 'build/src/cli/main.js', '--init-only');
  run('iptables-legacy', '-P', 'FORWARD', 'DROP');
  const [seen, ...more] = toldOfRules(0);
  assert.match(seen ?? '', /"level":"warn".*"event":"replies-blocked","by":"iptables-legacy","family":"ip"/);
  assert.deepEqual(more, []);
  const [blind] = toldOfRules(65_532);
  assert.match(
    blind ?? '',
    /"rules":"iptables-legacy".*EACCES.*"remedy":"Run with the group root; .*runAsGroup: 0\."/,
  );
  run('iptables-legacy', '-P', 'FORWARD', 'ACCEPT');
  assert.deepEqual(toldOfRules(0), []);
});
