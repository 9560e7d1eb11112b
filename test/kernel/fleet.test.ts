import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ExecHandler } from '../support/api-exec.js';
import type { ApiObject } from '../support/api-objects.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { runPluginProgram } from '../support/plugin.js';
import { main } from '../support/program.js';
import { SimulatedFleet } from '../support/simulated-fleet.js';

// lab: --memory 2G
// Eight daemons on kernels of their own, each in a network namespace, behind the test API server: `kubectl kube-ipvs` runs their
// commands. Another program takes a real server from one of them.

const nodes = Array.from({ length: 8 }, (_, index) => `node-${index + 1}`);
const odd = 'node-7';
const scratch = mkdtempSync(join(tmpdir(), 'fleet-'));
const manifests = join(scratch, 'manifests.json');

const endpoints = ['10.244.0.11', '10.244.0.12', '10.244.0.13'].map((address, index) =>
  ready(address, { pod: `web-${index + 1}` }),
);
const world = [
  serviceObject('shop/web', { type: 'NodePort', clusterIP: '10.96.10.10', ports: ['http:80@30080'] }),
  sliceObject('shop/web', endpoints, { ports: ['http:8080'] }),
];
writeFileSync(manifests, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: world }));

const socketOf = (node: string): string => join(scratch, `${node}.sock`);

const startNode = async (node: string, index: number): Promise<DaemonProcess> => {
  for (const line of [
    `ip netns add ${node}`,
    `ip -n ${node} link set lo up`,
    `ip -n ${node} link add eth0 type dummy`,
    `ip -n ${node} address add 192.0.2.${index + 1}/24 dev eth0`,
    `ip -n ${node} link set eth0 up`,
  ])
    runLine(line);
  const daemon = new DaemonProcess(
    [
      `--source=${manifests}`,
      `--hostname-override=${node}`,
      `--admin-socket=${socketOf(node)}`,
      // A difference must last until it is found.
      '--ipvs-sync-period=24h',
    ],
    { namespace: node },
  );
  await eventually(() => assert.match(daemon.log, /"synced"/));
  return daemon;
};

/** Runs the words of `kubectl exec` on the node, as its pod would. */
const execOnNode: ExecHandler = ({ pod, command }) => {
  const node = pod.replace(/^kube-ipvs-/, '');
  const words = ['netns', 'exec', node, process.execPath, main, ...command.slice(1)];
  return new Promise((resolve) => {
    execFile(
      'ip',
      words,
      { env: { ...process.env, KUBE_IPVS_ADMIN_SOCKET: socketOf(node) } },
      (error, stdout, stderr) => resolve({ stdout, stderr, exitCode: Number(error?.code ?? 0) }),
    );
  });
};

test('a backend that one of eight kernels lacks is found', async (t) => {
  await using fleet = await SimulatedFleet.start(nodes, { override: (_, request) => execOnNode(request) });
  fleet.api.put(...(world as ApiObject[]));
  await using daemons = new AsyncDisposableStack();
  for (const [index, node] of nodes.entries()) daemons.use(await startNode(node, index));
  const run = (line: string) =>
    runPluginProgram([
      ...line.split(' '),
      '--parallel',
      '4',
      '--timeout',
      '120s',
      '--kubeconfig',
      fleet.kubeconfig,
    ]);

  await t.test('all are healthy at first', async () => {
    const { status, stdout, stderr } = await run('status');
    assert.match(stdout, /\n8 nodes: 8 healthy\n$/);
    assert.equal(status, 0, stderr);
  });

  await t.test('another program removes a real server of one', async () => {
    runLine(`ip netns exec ${odd} ipvsadm -d -t 10.96.10.10:80 -r 10.244.0.12:8080`);
    const { status, stdout } = await run('explain shop/web');
    assert.match(stdout, /^shop\/web: 7 nodes alike, 1 differs\n/);
    assert.match(stdout, /\n10\.244\.0\.12:8080 +shop\/web-2 +7 +node-7\n/);
    assert.match(
      stdout,
      /\n1 node: node-7\n {2}the kernel lacks real server 10\.244\.0\.12:8080 of TCP 10\.96\.10\.10:80\n/,
    );
    assert.doesNotMatch(stdout, /node port 30080\n.*lacks/);
    assert.equal(status, 1);
  });

  // Each command is a process in a guest: these ask two nodes.
  const pair = `--node node-1 --node ${odd} -o wide`;

  await t.test('diff and dump name it too, and its own story is shown', async () => {
    const diff = await run(`diff ${pair}`);
    assert.equal(diff.status, 1, diff.stderr);
    assert.match(
      diff.stdout,
      /^1 of 2 nodes: the kernel is in sync\n\n1 node: node-7\n {2}\+ real server TCP 10\.96/,
    );
    const dump = await run(`dump shop/web ${pair}`);
    assert.match(dump.stdout, /\n {4}→ 10\.244\.0\.12:8080 {2}shop\/web-2 {2}masquerade {2}weight 1\n/);
    assert.match(dump.stdout, /\n1 node: node-7\n {2}- TCP 10\.96\.10\.10:80 → 10\.244\.0\.12:8080/);
    const story = await run(`explain shop/web --node ${odd}`);
    assert.match(story.stdout, /10\.244\.0\.12:8080/);
    assert.match(story.stdout, /Verdict: /);
  });

  await t.test('traffic is sampled on all, and a daemon that is stopped is named', async () => {
    const top = await run('top --iterations 1 --node node-1 --node node-2');
    assert.match(top.stdout, /\nshop\/web +0 +0 +0 .* 2 +\d+ virtual\n/);
    assert.equal(top.status, 0, top.stderr);
    runLine(`ip netns pids ${odd}`)
      .trim()
      .split('\n')
      .forEach((pid) => process.kill(Number(pid), 'SIGKILL'));
    const { status, stdout } = await run(`status ${pair}`);
    assert.match(stdout, /^NODE .*\nnode-7 +no answer .*cannot connect to the kube-ipvs daemon/);
    assert.match(stdout, /\n2 nodes: 1 no answer, 1 healthy\n$/);
    assert.equal(status, 3);
  });
});
