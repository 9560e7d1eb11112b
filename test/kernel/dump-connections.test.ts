import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { main } from '../support/program.js';
import { ClusterNetwork, HoldingClient } from '../support/cluster-network.js';

// The kernel's connection table, with real connections in it; on a busy machine they may have ended by the time they are told.

const dump = (...args: readonly string[]) =>
  spawnSync('ip', ['netns', 'exec', 'node', process.execPath, main, 'dump', '--connections', ...args], {
    encoding: 'utf8',
    env: { ...process.env, KUBE_IPVS_ADMIN_SOCKET: '' },
  });

test('connections are told, filtered, and streamed as JSON', async () => {
  await using _network = await ClusterNetwork.up(1);
  execFileSync('ip', ['netns', 'exec', 'node', 'ipvsadm', '-R'], {
    input: '-A -t 192.0.2.1:30080 -s rr\n-a -t 192.0.2.1:30080 -r 10.244.0.11:8080 -m -w 1\n',
  });
  await using client = new HoldingClient('client', '192.0.2.1', 30_080);
  await client.open();
  await client.open();
  const { stdout, stderr, status } = dump();
  assert.equal(status, 0, stderr);
  const [titles, first, second] = stdout.split('\n');
  assert.match(titles ?? '', /^PROTOCOL  CLIENT +VIRTUAL SERVER +REAL SERVER +STATE +EXPIRES$/);
  for (const line of [first, second])
    assert.match(
      line ?? '',
      /^TCP +192\.0\.2\.2:\d+ +192\.0\.2\.1:30080 +10\.244\.0\.11:8080 +[A-Z_]+ +\d+s$/,
    );
  const json = JSON.parse(dump('-o', 'json').stdout) as {
    readonly connections: readonly { readonly real: string; readonly virtual: string }[];
  };
  assert.deepEqual(
    json.connections.map(({ real, virtual }) => [virtual, real]),
    [
      ['192.0.2.1:30080', '10.244.0.11:8080'],
      ['192.0.2.1:30080', '10.244.0.11:8080'],
    ],
  );
  assert.equal(
    dump('192.0.2.1:30080', '--client', '192.0.2.0/24', '--no-headers').stdout.split('\n').length,
    3,
  );
  const nothing = dump('10.96.0.1');
  assert.deepEqual([nothing.status, nothing.stdout], [1, '']);
  assert.equal(dump('--in-state', 'SYN_RECV').stdout, '');
  assert.deepEqual(JSON.parse(dump('-o', 'json', '--client', '203.0.113.9').stdout), { connections: [] });
});
