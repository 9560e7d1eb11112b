import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { nativeShims } from '../../native-shims/index.js';
import type { Connect } from '../../src/daemon/kernel/kernel-access.js';
import { Connection } from '../../src/netlink/connection.js';
import { Protocol, type ProtocolName } from '../../src/netlink/constants.js';
import { socketDescriptor } from '../../src/netlink/socket-descriptor.js';
import { eventually } from '../support/daemon-process.js';
import { expectedKernelLines, putClusterState, type ClusterStateName } from '../support/cluster-states.js';
import { runLine } from '../support/lab-guest.js';
import { KernelLines } from '../support/kernel-lines.js';
import { startInProcessWith, type InProcessDaemon } from '../support/in-process-daemon.js';
import { RecordingLog, type LogLine } from '../support/recording-log.js';

// The daemon's sockets are closed behind its back.

const opened: { readonly protocol: ProtocolName; readonly connection: Connection }[] = [];
const connect: Connect = (protocol) => {
  const connection = Connection.open(protocol);
  opened.push({ protocol, connection });
  return connection;
};

/** Closes the descriptor of a socket of this process. */
const kill = (protocol: ProtocolName, portId: number): void => {
  const descriptor = socketDescriptor(Protocol[protocol], portId);
  assert.ok(descriptor !== undefined);
  nativeShims().close(descriptor);
};

/** Port ids of the sockets of a protocol that are in multicast groups. */
const listening = (protocol: ProtocolName): readonly number[] =>
  readFileSync('/proc/net/netlink', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, number, , groups = '0']) => Number(number) === Protocol[protocol] && /[1-9a-f]/.test(groups))
    .map(([, , portId]) => Number(portId));

const log = new RecordingLog();
let daemon: InProcessDaemon;
const kernel = new KernelLines();

const put = (world: ClusterStateName): void => putClusterState(daemon.wired.store, world);

const nodeAddresses = ['lo 127.0.0.1/8', 'lo ::1/128', 'eth0 192.0.2.10/24'];

const becomes = (world: ClusterStateName): Promise<void> =>
  eventually(async () => assert.deepEqual(await kernel.lines(), expectedKernelLines(world, nodeAddresses)));

const isAboutSockets = ({ message }: LogLine): boolean =>
  /of no use any more|ended; they are|there again/.test(message);
const told = ({ level, message }: LogLine): string => `${level} ${message}`;
const toldOfSockets = (): readonly string[] => log.lines.filter(isAboutSockets).map(told);

before(async () => {
  runLine('ip link set lo up');
  runLine('ip link add eth0 type dummy');
  runLine('ip link set eth0 up');
  runLine('ip address add 192.0.2.10/24 dev eth0');
  daemon = await startInProcessWith({ connect, log }, '--ipvs-sync-period=1h');
  void daemon.wired.syncLoop.start();
  put('full');
  await becomes('full');
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  kernel[Symbol.dispose]();
});

test('a socket for commands that is dead is opened anew: nothing is lost, and it is said once', async () => {
  assert.equal(opened.length, 4);
  const worldNames = ['changed', 'fewer', 'full', 'changed'] as const;
  for (const [index, { protocol, connection }] of opened.entries()) {
    const world = worldNames[index] ?? 'full';
    const before = log.lines.length;
    kill(protocol, connection.portId);
    put(world);
    await becomes(world);
    await eventually(() =>
      assert.deepEqual(
        log.lines.slice(before).filter(isAboutSockets).map(told),
        ['warn a netlink socket was of no use any more; opened another one'],
        `${protocol} ${index}`,
      ),
    );
  }
});

test('what others do is taken in after that, and what the daemon does itself is not', async () => {
  const before = log.lines.length;
  put('full');
  await becomes('full');
  assert.deepEqual(
    log.lines.slice(before).filter(({ level }) => level !== 'info' && level !== 'debug'),
    [],
  );
  runLine('ip address delete 10.96.0.1/32 dev kube-ipvs0');
  runLine('nft flush set ip kube-ipvs vips');
  await becomes('full');
});

const whatComes: Readonly<Record<'route' | 'netfilter' | 'generic', string>> = {
  route: 'link and address events',
  netfilter: 'packet rule events',
  generic: 'events of the module ip_vs',
};

for (const [protocol, what] of Object.entries(whatComes) as [keyof typeof whatComes, string][])
  test(`a socket for events (${protocol}) that is dead is found with the next sync and opened anew, and what came meanwhile is read`, async () => {
    const before = toldOfSockets().length;
    const ports = listening(protocol);
    assert.equal(ports.length, 1);
    kill(protocol, ports[0] ?? 0);
    assert.deepEqual(listening(protocol), []);
    runLine('ip address delete 10.96.0.2/32 dev kube-ipvs0');
    runLine('nft flush set ip kube-ipvs vips');
    daemon.wired.syncLoop.request();
    await becomes('full');
    await eventually(() =>
      assert.deepEqual(toldOfSockets().slice(before), [
        `error ${what} ended; they are opened again, and the resync goes on`,
        `info ${what} are there again`,
      ]),
    );
    assert.equal(listening(protocol).length, 1);
    runLine('ip address delete 10.96.0.2/32 dev kube-ipvs0');
    runLine('nft flush set ip kube-ipvs vips');
    await becomes('full');
  });
