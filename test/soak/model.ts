import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import { familyOf } from '../../src/base/ip.js';
import type { EndpointSlice, EndpointSliceKey } from '../../src/model/endpoint.js';
import type { Service, ServiceKey } from '../../src/model/service.js';
import { Connection } from '../../src/netlink/connection.js';
import { serviceWithSlices, type ServiceWithSlices } from '../support/arbitrary-cluster.js';
import { SocketFaults, type Fault } from '../support/faulty-channel.js';
import { run, runLine } from '../support/guest.js';
import { HeldKernel, linesOf } from '../support/held-kernel.js';
import { startInProcessWith, type InProcessDaemon } from '../support/in-process-daemon.js';
import { nodeFacts } from '../support/objects.js';
import { seed } from '../support/seed.js';
import { SimulatedNode } from '../support/simulated-node.js';

// Runs in the lab: scripts/lab -m 1G -t 1500 -- node --test build/test/soak/model.js
// Random changes of Services, node addresses and settings of others, requests, restarts, netlink faults and foreign hands, at
// random times: after each while of quiet the kernel is as the wanted state says, and foreign things are as they were.

const steps = Number(process.env['KUBE_IPVS_MODEL_STEPS'] ?? 10_000);
const stepsBetweenQuiet = 500;

/** mulberry32: numbers from 0 to 1 that the seed alone decides. */
const randomFrom = (start: number): (() => number) => {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

const random = randomFrom(seed);
const among = <Item>(items: readonly Item[]): Item => {
  const item = items[Math.floor(random() * items.length)];
  assert.ok(item !== undefined);
  return item;
};

// ---- the world

// The API server's Service reserves addresses of its own (src/plan/reserved-addresses.ts): not a matter of this test.
const pool: readonly ServiceWithSlices[] = fc
  .sample(serviceWithSlices, { seed, numRuns: 1_500 })
  .filter(({ service }) => service.key !== 'default/kubernetes');

const objects = {
  services: new Map<ServiceKey, Service>(),
  slices: new Map<EndpointSliceKey, EndpointSlice>(),
};
const alwaysThere = [
  'lo 127.0.0.1/8',
  'lo ::1/128',
  'eth0 10.9.0.1/24',
  'eth0 fd00:9::1/64',
  'other0 203.0.113.200/32',
];
const sometimes = ['eth0 10.9.0.2/24', 'eth1 198.51.100.1/24'];
const nodeAddresses = new Set(alwaysThere);

const wantedLines = (): readonly string[] => {
  const node = new SimulatedNode(nodeFacts([...nodeAddresses]));
  node.replace({ services: [...objects.services.values()], slices: [...objects.slices.values()] });
  return linesOf(node);
};

// ---- the daemon

const faults = new SocketFaults();
const errnos = [1, 3, 4, 11, 12, 16, 17, 19, 22, 28, 99, 105];
const kindsOfFault: readonly Fault[] = ['lost', 'unsent', 'cut', 'twice', ...errnos];
const delays = {
  retry: {
    soon: { firstMilliseconds: 2, maximumMilliseconds: 10 },
    later: { firstMilliseconds: 5, maximumMilliseconds: 50 },
  },
  trouble: { firstMilliseconds: 5, maximumMilliseconds: 50 },
};
let daemon: InProcessDaemon;

const start = async (): Promise<void> => {
  daemon = await startInProcessWith(
    {
      connect: (protocol) => Connection.open(protocol, { channel: () => faults.channel(protocol) }),
      delays,
    },
    '--ipvs-sync-period=1s',
  );
  void daemon.wired.proxy.start();
  daemon.wired.store.replaceAll({
    services: objects.services,
    endpointSlices: objects.slices,
    node: undefined,
  });
};

// ---- foreign things

const foreignVirtual = ['-A -t 203.0.113.200:9 -s wrr', '-a -t 203.0.113.200:9 -r 10.7.0.1:9 -m -w 7'];
const foreignMark = ['-A -f 77 -s sh', '-a -f 77 -r 10.7.0.2:0 -g -w 3'];
const setUpForeign = (): void => {
  for (const line of [...foreignVirtual, ...foreignMark]) runLine(`ipvsadm ${line}`);
  runLine('ip link add other0 type dummy');
  runLine('ip address add 203.0.113.200/32 dev other0');
  run('nft', 'add table inet others; add set inet others kept { type ipv4_addr; elements = { 10.96.0.1 } }');
};
const foreignState = (): string =>
  [
    ...runLine('ipvsadm -Sn')
      .split('\n')
      .filter((line) => line.includes('203.0.113.200:9 ') || line.includes(' 77 ')),
    run('sh', '-c', 'ip -o address show dev other0 | grep 203'),
    runLine('nft list table inet others'),
  ].join('\n');
/** Of what `HeldKernel` gives: what is not ours. */
const isForeign = (line: string): boolean => / 203\.0\.113\.200:9 |^FWM 77 /.test(line);

// ---- what happens

const put = ({ service, slices }: ServiceWithSlices): void => {
  const gone = [...objects.slices.values()].filter((slice) => slice.service === service.key);
  for (const { key } of gone) objects.slices.delete(key);
  objects.services.set(service.key, service);
  for (const slice of slices) objects.slices.set(slice.key, slice);
  daemon.wired.store.apply([
    { kind: 'service', key: service.key, value: service },
    ...gone.map(({ key }) => ({ kind: 'endpointSlice' as const, key, value: undefined })),
    ...slices.map((value) => ({ kind: 'endpointSlice' as const, key: value.key, value })),
  ]);
};

const remove = (key: ServiceKey): void => {
  const gone = [...objects.slices.values()].filter((slice) => slice.service === key);
  for (const slice of gone) objects.slices.delete(slice.key);
  objects.services.delete(key);
  daemon.wired.store.apply([
    { kind: 'service', key, value: undefined },
    ...gone.map((slice) => ({ kind: 'endpointSlice' as const, key: slice.key, value: undefined })),
  ]);
};

const changeNodeAddress = (): void => {
  const address = among(sometimes);
  const [device, cidr] = address.split(' ');
  if (nodeAddresses.delete(address)) runLine(`ip address delete ${cidr} dev ${device}`);
  else {
    runLine(`ip address add ${cidr} dev ${device}`);
    nodeAddresses.add(address);
  }
};

/** A program of somebody else's: it may come too late or be refused. */
const elsewhere = (line: string): void => void spawnSync('sh', ['-c', line]);

const ourTable = `ipvsadm -Sn | grep -v '203.0.113.200\\| 77 '`;
const foreignHands: readonly string[] = [
  // The last virtual server of ours, its last real server, and its weight.
  `$(${ourTable} | grep '^-A' | tail -1 | sed -E 's/^-A (-[tu]|--sctp-service) (\\S+).*/ipvsadm -D \\1 \\2/')`,
  `$(${ourTable} | grep '^-a' | tail -1 | sed -E 's/^-a (.*) -m .*/ipvsadm -d \\1/')`,
  `$(${ourTable} | grep '^-a' | head -1 | sed -E 's/^-a (.*) -w .*/ipvsadm -e \\1 -w 5/')`,
  `$(${ourTable} | grep '^-A' | head -1 | sed -E 's/^-A (-[tu]|--sctp-service) (\\S+).*/ipvsadm -a \\1 \\2 -r 10.7.9.9:1 -m/')`,
  'ip address add 10.96.9.9/32 dev kube-ipvs0',
  'ip address delete 10.96.0.1/32 dev kube-ipvs0',
  'ip link delete kube-ipvs0',
  'ip link set kube-ipvs0 down',
  'nft flush set ip kube-ipvs cluster-ip',
  'nft flush chain ip kube-ipvs input',
  'nft delete table ip kube-ipvs',
  'nft delete table ip6 kube-ipvs',
  "nft add element ip kube-ipvs cluster-ip '{ 10.96.0.77 . tcp . 7 }'",
];

const client = { IPv4: createSocket('udp4'), IPv6: createSocket('udp6') };
for (const socket of Object.values(client)) socket.on('error', () => undefined);
const request = (): void => {
  const { clusterIps } = among(pool).service;
  for (const address of Object.values(clusterIps))
    client[familyOf(address)].send('x', among([80, 443]), address, () => undefined);
};

const restart = async (): Promise<void> => {
  faults.aim([]);
  await daemon[Symbol.asyncDispose]();
  await start();
};

const events: readonly (readonly [weight: number, name: string, act: () => void | Promise<void>])[] = [
  [660, 'put', () => put(among(pool))],
  [200, 'remove', () => remove(among(pool).service.key)],
  [70, 'request', request],
  [30, 'fault', () => faults.aim([{ position: Math.floor(random() * 20) }], () => among(kindsOfFault))],
  [20, 'foreign hand', () => elsewhere(among(foreignHands))],
  [10, 'node address', changeNodeAddress],
  [5, 'restart', restart],
  [5, 'pause', () => delay(50)],
];
const weights = events.reduce((sum, [weight]) => sum + weight, 0);

const happen = async (): Promise<string> => {
  let left = random() * weights;
  for (const [weight, name, act] of events) {
    left -= weight;
    if (left >= 0) continue;
    await act();
    return name;
  }
  return 'nothing';
};

// ---- what must hold

/** Requests keep UDP real servers for their deadline of 5 s, and a resync or two come after. */
const quietMilliseconds = 20_000;

const becomesQuiet = async (kernel: HeldKernel, done: number): Promise<void> => {
  faults.aim([]);
  const wanted = wantedLines();
  const end = performance.now() + quietMilliseconds;
  for (;;) {
    const held = (await kernel.lines()).filter((line) => !isForeign(line));
    if (JSON.stringify(held) === JSON.stringify(wanted)) return;
    if (performance.now() > end) assert.deepEqual(held, wanted, `after ${done} steps`);
    await delay(100);
  }
};

test(`${steps} random steps: what is wanted is there in the end, and what is others' as it was`, async () => {
  for (const line of [
    'ip link set lo up',
    'ip link add eth0 type dummy',
    'ip link add eth1 type dummy',
    'ip link set eth0 up',
    'ip link set eth1 up',
    'ip address add 10.9.0.1/24 dev eth0',
    'ip address add fd00:9::1/64 dev eth0 nodad',
    'ip -6 address flush dev eth0 scope link',
    'ip -6 address flush dev eth1 scope link',
  ])
    runLine(line);
  setUpForeign();
  const foreign = foreignState();
  const unhandled: unknown[] = [];
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
  using kernel = new HeldKernel();
  await start();
  const counts = new Map<string, number>();
  for (let done = 1; done <= steps; done += 1) {
    const name = await happen();
    counts.set(name, (counts.get(name) ?? 0) + 1);
    if (random() < 0.3) await turn();
    if (done % stepsBetweenQuiet !== 0) continue;
    await becomesQuiet(kernel, done);
    assert.equal(foreignState(), foreign, `after ${done} steps`);
  }
  console.log(Object.fromEntries(counts));
  for (const socket of Object.values(client)) socket.close();
  await daemon[Symbol.asyncDispose]();
  assert.deepEqual(unhandled, []);
});
