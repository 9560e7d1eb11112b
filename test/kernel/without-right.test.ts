import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

test('without the right to administer the network the daemon says which one is missing and how to get it', () => {
  const args = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', '--'];
  const program = ['build/src/cli/main.js', '--proxy-mode=ipvs', '--source=examples'];
  const { status, stderr } = spawnSync('setpriv', [...args, process.execPath, ...program], {
    encoding: 'utf8',
  });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /NET_ADMIN/);
  assert.match(stderr, /EPERM/);
});
