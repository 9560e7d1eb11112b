import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, run, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { SingleSocketClient } from '../support/single-socket-client.js';

// A programming error ends the daemon: the kernel goes on forwarding, and the next process adopts what is there.

const script = (name: string): string => fileURLToPath(new URL(`../support/${name}.js`, import.meta.url));
const manifest = join(mkdtempSync(join(tmpdir(), 'programming-error-')), 'world.json');
const virtual = '10.96.0.10';
const args = [`--source=${manifest}`, '--hostname-override=n1'];
let network: ClusterNetwork;
let held: SingleSocketClient;
let steady: ChildProcess;

interface Line {
  readonly event?: string;
  readonly stack?: string;
  readonly applied?: number;
}

const linesOf = ({ log }: DaemonProcess, event: string): readonly Line[] =>
  log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): Line => JSON.parse(line))
    .filter((line) => line.event === event);

const program = (services: Readonly<Record<string, string>>): void => {
  const items = Object.entries(services).flatMap(([name, address]) => [
    serviceObject(name, { clusterIPs: [address], ports: ['http:80/TCP'] }),
    sliceObject(name, [ready('10.244.0.11'), ready('10.244.0.12')], { ports: ['http:8080/TCP'] }),
  ]);
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

/** Which pod answers on the connection that was opened first. */
const askHeld = async (): Promise<string> => {
  const answers = held.lines.length;
  held.ask();
  await eventually(() => assert.equal(held.lines.length, answers + 1));
  return held.last;
};

/** What stands in the kernel. */
const kernelState = () => ({
  table: savedTable('node'),
  addresses: addressesOf('kube-ipvs0', 'node'),
  rules: run('ip', 'netns', 'exec', 'node', 'nft', 'list', 'table', 'ip', 'kube-ipvs').replaceAll(
    /packets \d+ bytes \d+/g,
    '',
  ),
});

before(async () => {
  network = await ClusterNetwork.up(2);
  program({ web: virtual });
});

after(async () => {
  steady.kill();
  await held[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('a programming error ends the daemon with its stack and status 1; traffic goes on, and the next process adopts everything', async () => {
  await using broken = new DaemonProcess(args, {
    namespace: 'node',
    nodeArguments: ['--import', script('programming-error')],
  });
  await eventually(() => assert.equal(linesOf(broken, 'synced').length, 1, broken.log));
  held = new SingleSocketClient('client', 'tcp', virtual, 80);
  const pod = await askHeld();
  assert.match(pod, /^pod/);
  const url = `http://${virtual}/`;
  steady = spawn(
    'ip',
    ['netns', 'exec', 'client', process.execPath, ...process.execArgv, script('steady-client'), url],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let output = '';
  steady.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const before = kernelState();
  broken.signal('SIGUSR2');
  program({ web: virtual, other: '10.96.9.9' });
  assert.equal(await broken.ended(), 1, broken.log);
  const errors = linesOf(broken, 'programming-error');
  assert.equal(errors.length, 1, broken.log);
  assert.match(errors[0]?.stack ?? '', /^TypeError: injected programming error\n[^]*KernelSync/);
  assert.deepEqual(linesOf(broken, 'sync-failed'), []);
  assert.deepEqual(kernelState(), before);
  assert.equal(await askHeld(), pod);
  for (const answer of network.ask('client', 'tcp', virtual, 80, 4)) assert.match(answer, /^pod/);
  program({ web: virtual });
  await using next = new DaemonProcess(args, { namespace: 'node' });
  await eventually(() => assert.match(next.log, /"admin-socket/));
  program({ web: virtual, other: '10.96.9.9' });
  await eventually(() => assert.equal(savedTable('node').length, 6, next.log));
  const [first] = linesOf(next, 'synced');
  // Nothing of the first Service: a virtual server, two real servers, an address and the elements of the second one.
  assert.ok(first?.applied !== undefined && first.applied <= 6, next.log);
  assert.equal(await askHeld(), pod);
  const closed = once(steady, 'close');
  steady.stdin?.end();
  await closed;
  const { requests, failures } = JSON.parse(output) as { requests: number; failures: readonly string[] };
  assert.deepEqual(failures, []);
  assert.ok(requests > 20, `only ${requests} requests`);
  assert.equal(await next.stop(), 0);
});
