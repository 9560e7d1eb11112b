import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { run } from '../support/guest.js';

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

test('without the right to raw sockets the daemon runs, and tells that it cannot look at iptables', () => {
  run('iptables-legacy', '-P', 'FORWARD', 'DROP');
  const args = ['--bounding-set=-net_raw', '--inh-caps=-net_raw', '--'];
  const program = [
    'dist/kube-ipvs.js',
    '--proxy-mode=ipvs',
    '--source=examples',
    '--once',
    '--logging-format=json',
  ];
  const { status, stderr } = spawnSync('setpriv', [...args, process.execPath, ...program], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /"rules":"iptables-legacy".*EPERM.*"remedy":"run as root, or with .* NET_RAW"/);
});
