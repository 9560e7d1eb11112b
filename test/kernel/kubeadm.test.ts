import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main as program } from '../support/program.js';
import { ApiServer } from '../support/api-server.js';
import { eventually } from '../support/daemon-process.js';
import { savedTable } from '../support/lab-guest.js';
import { kubeconfigFor } from '../support/kubeconfig.js';

// The command line of kubeadm's DaemonSet with its ConfigMap, at the paths where they are mounted.

const kubeadm = fileURLToPath(new URL('../../../test/fixtures/config/kubeadm-config.conf', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'kubeadm-'));

/** Starts it as kube-proxy, with this text for /var/lib/kube-proxy/config.conf; what it writes is in `log`. */
const start = (config: string, server: string) => {
  writeFileSync(join(scratch, 'config.conf'), config);
  writeFileSync(join(scratch, 'kubeconfig.conf'), kubeconfigFor(server, 'secret'));
  const mounted =
    'mount -t tmpfs none /var/lib && mkdir /var/lib/kube-proxy && cp "$0"/*.conf /var/lib/kube-proxy';
  const child = spawn(
    'unshare',
    [
      '--mount',
      'sh',
      '-c',
      `${mounted} && exec "$@"`,
      scratch,
      process.execPath,
      join(scratch, 'kube-proxy'),
      '--config=/var/lib/kube-proxy/config.conf',
      '--hostname-override=n1',
    ],
    { stdio: ['ignore', 'inherit', 'pipe'] },
  );
  const started = { child, log: '' };
  child.stderr.setEncoding('utf8').on('data', (text: string) => (started.log += text));
  return started;
};

test("kubeadm's ConfigMap with mode: ipvs runs unchanged; with its blank mode it says the line to change", async () => {
  symlinkSync(program, join(scratch, 'kube-proxy'));
  await using server = await ApiServer.start({ token: 'secret' });
  server.put(
    {
      kind: 'Node',
      metadata: { name: 'n1' },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] },
    },
    {
      kind: 'Service',
      metadata: { namespace: 'default', name: 'web' },
      spec: { type: 'ClusterIP', clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port: 80 }] },
    },
  );
  const text = readFileSync(kubeadm, 'utf8');
  const blank = start(text, server.url);
  assert.deepEqual(await once(blank.child, 'close'), [1, null]);
  assert.match(blank.log, /^kube-ipvs: \/var\/lib\/kube-proxy\/config\.conf:52: mode must be ipvs; it is ""/);
  const daemon = start(text.replace('mode: ""', 'mode: ipvs'), server.url);
  await eventually(() => assert.deepEqual(savedTable(), ['-A -t 10.96.0.10:80 -s rr'], daemon.log));
  const health = await fetch('http://127.0.0.1:10256/livez');
  assert.equal(health.status, 200);
  daemon.child.kill('SIGTERM');
  assert.deepEqual(await once(daemon.child, 'close'), [0, null], daemon.log);
});
