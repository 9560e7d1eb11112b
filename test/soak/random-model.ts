import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import { familyOf } from '../../src/base/ip.js';
import type { EndpointSlice, EndpointSliceKey } from '../../src/model/endpoint.js';
import type { Service, ServiceKey } from '../../src/model/service.js';
import { Connection } from '../../src/netlink/connection.js';
import { isPacketClass } from '../../src/plan/packet-rules/packet-sets.js';
import { serviceWithSlices, type ServiceWithSlices } from '../support/arbitrary-cluster.js';
import { isLie, SocketFaults, type Fault } from '../support/faulty-channel.js';
import { runLine } from '../support/lab-guest.js';
import { desiredLines, desiredState } from '../support/desired-kernel.js';
import { KernelLines } from '../support/kernel-lines.js';
import { startInProcessWith, type InProcessDaemon } from '../support/in-process-daemon.js';
import { nodeFacts } from '../support/objects.js';
import { Random } from '../support/random.js';
import { blotsRecord, foreignHands, foreignThings, isForeign, setUpForeignThings } from './foreign-hands.js';

const stepsBetweenQuiet = 500;

/** Requests keep UDP real servers for their deadline of 5 s, and a resync or two come after; others may use the machine, too. */
const quietMilliseconds = 40_000;

const alwaysThere = [
  'lo 127.0.0.1/8',
  'lo ::1/128',
  'eth0 10.9.0.1/24',
  'eth0 fd00:9::1/64',
  'other0 203.0.113.200/32',
];
const sometimesThere = ['eth0 10.9.0.2/24', 'eth1 198.51.100.1/24'];

const kindsOfFault: readonly Fault[] = [
  'lost',
  'unsent',
  'cut',
  'twice',
  1,
  3,
  4,
  11,
  12,
  16,
  17,
  19,
  22,
  28,
  99,
  105,
];
const delays = {
  retry: {
    soon: { firstMilliseconds: 2, maximumMilliseconds: 10 },
    later: { firstMilliseconds: 5, maximumMilliseconds: 50 },
  },
  syncRetry: { firstMilliseconds: 5, maximumMilliseconds: 50 },
};

/** Of what the kernel holds: our virtual servers that no element names. */
const unnamed = (held: readonly string[]): readonly string[] => {
  const names = new Set(
    held
      .filter((line) => isPacketClass(line.split(' ')[0] ?? ''))
      .map((line) => line.replace(/^\S+ /, '').trim()),
  );
  return held.filter((line) => {
    const [, protocol, address, port] = /^(TCP|UDP|SCTP) \[?([^\s\]]*)\]?:(\d+) (?!→)/.exec(line) ?? [];
    return protocol !== undefined && !isForeign(line) && !names.has(`${address} . ${protocol} . ${port}`);
  });
};

interface Happening {
  readonly weight: number;
  readonly name: string;
  /** Gives what is to be told of it where the test fails. */
  readonly act: () => Promise<string | undefined>;
}

/**
 * Random changes of Services and node addresses, requests, restarts, netlink faults and foreign hands, at random times: after each
 * while of quiet the kernel of this guest is as the wanted state says, and foreign things are as they were.
 */
export class RandomModel implements AsyncDisposable {
  readonly #random: Random;
  readonly #pool: readonly ServiceWithSlices[];
  readonly #services = new Map<ServiceKey, Service>();
  readonly #slices = new Map<EndpointSliceKey, EndpointSlice>();
  readonly #nodeAddresses = new Set(alwaysThere);
  readonly #faults = new SocketFaults();
  readonly #clients = { IPv4: createSocket('udp4'), IPv6: createSocket('udp6') };
  readonly #kernel = new KernelLines();
  /** What happened since the last quiet time, but for changes of Services and requests. */
  #told: string[] = [];
  #daemon: InProcessDaemon | undefined;
  /** The first sync of the daemon. */
  #synced: Promise<unknown> = Promise.resolve();
  /** Somebody took the names of our virtual servers away, and they were not seen to be there again since. */
  #recordIsBlotted = false;

  constructor(seed: number) {
    this.#random = new Random(seed);
    // The API server's Service reserves addresses of its own (src/plan/render/reserved-addresses.ts): not a matter of this test.
    this.#pool = fc
      .sample(serviceWithSlices, { seed, numRuns: 1_500 })
      .filter(({ service }) => service.key !== 'default/kubernetes');
    for (const socket of Object.values(this.#clients)) socket.on('error', () => undefined);
  }

  /** Gives how often each thing happened. */
  async run(steps: number): Promise<ReadonlyMap<string, number>> {
    this.#setUpNode();
    setUpForeignThings();
    const foreign = foreignThings();
    await this.#start();
    const counts = new Map<string, number>();
    for (let done = 1; done <= steps; done += 1) {
      const { name, act } = this.#next();
      const told = await act();
      if (told !== undefined) this.#told.push(`${done} ${name} ${told}`.trim());
      counts.set(name, (counts.get(name) ?? 0) + 1);
      if (this.#random.next() < 0.3) await turn();
      if (done % stepsBetweenQuiet !== 0 && done !== steps) continue;
      await this.#becomesQuiet(done);
      assert.equal(foreignThings(), foreign, `after ${done} steps`);
    }
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of Object.values(this.#clients)) socket.close();
    this.#kernel[Symbol.dispose]();
    await this.#daemon?.[Symbol.asyncDispose]();
  }

  #setUpNode(): void {
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
  }

  async #start(): Promise<void> {
    const daemon = await startInProcessWith(
      {
        connect: (protocol) => Connection.open(protocol, { channel: () => this.#faults.channel(protocol) }),
        delays,
      },
      '--ipvs-sync-period=1s',
    );
    this.#daemon = daemon;
    this.#synced = daemon.wired.syncLoop.start();
    daemon.wired.store.replaceAll({
      services: this.#services,
      endpointSlices: this.#slices,
      node: undefined,
    });
  }

  readonly #happenings: readonly Happening[] = [
    { weight: 660, name: 'put', act: async () => this.#put(this.#random.pick(this.#pool)) },
    { weight: 200, name: 'remove', act: async () => this.#remove(this.#random.pick(this.#pool).service.key) },
    { weight: 70, name: 'request', act: async () => this.#request() },
    { weight: 30, name: 'fault', act: async () => this.#fault() },
    { weight: 20, name: 'foreign hand', act: () => this.#foreignHand() },
    { weight: 10, name: 'node address', act: async () => this.#changeNodeAddress() },
    { weight: 5, name: 'restart', act: () => this.#restart() },
    { weight: 5, name: 'pause', act: async () => delay(50, '') },
  ];

  #next(): Happening {
    const [often] = this.#happenings;
    assert.ok(often !== undefined);
    let left = this.#random.below(this.#happenings.reduce((sum, { weight }) => sum + weight, 0));
    return this.#happenings.find(({ weight }) => (left -= weight) < 0) ?? often;
  }

  #slicesOf(service: ServiceKey): readonly EndpointSliceKey[] {
    return [...this.#slices.values()].filter((slice) => slice.service === service).map(({ key }) => key);
  }

  #put({ service, slices }: ServiceWithSlices): undefined {
    const gone = this.#slicesOf(service.key);
    for (const key of gone) this.#slices.delete(key);
    this.#services.set(service.key, service);
    for (const slice of slices) this.#slices.set(slice.key, slice);
    this.#daemon?.wired.store.apply([
      { kind: 'service', key: service.key, value: service },
      ...gone.map((key) => ({ kind: 'endpointSlice' as const, key, value: undefined })),
      ...slices.map((value) => ({ kind: 'endpointSlice' as const, key: value.key, value })),
    ]);
  }

  #remove(service: ServiceKey): undefined {
    const gone = this.#slicesOf(service);
    for (const key of gone) this.#slices.delete(key);
    this.#services.delete(service);
    this.#daemon?.wired.store.apply([
      { kind: 'service', key: service, value: undefined },
      ...gone.map((key) => ({ kind: 'endpointSlice' as const, key, value: undefined })),
    ]);
  }

  #request(): undefined {
    const { clusterIps } = this.#random.pick(this.#pool).service;
    for (const address of Object.values(clusterIps))
      this.#clients[familyOf(address)].send('x', this.#random.pick([80, 443]), address, () => undefined);
  }

  #fault(): string {
    const position = this.#random.below(20);
    const fault = this.#random.pick(kindsOfFault);
    this.#faults.aim([{ position }], (kind) => (isLie(kind, fault) ? 'lost' : fault));
    return `${fault} at ${position}`;
  }

  /** A process knows the names from its start on, but for those that go before it reads them for the first sync. */
  async #foreignHand(): Promise<string> {
    const line = this.#random.pick(foreignHands);
    if (blotsRecord(line)) {
      if (line.includes('flush')) await this.#synced;
      this.#recordIsBlotted = true;
    }
    spawnSync('sh', ['-c', line]);
    return line;
  }

  #changeNodeAddress(): string {
    const address = this.#random.pick(sometimesThere);
    const [device, cidr] = address.split(' ');
    const isThere = this.#nodeAddresses.delete(address);
    if (!isThere) this.#nodeAddresses.add(address);
    const line = `ip address ${isThere ? 'delete' : 'add'} ${cidr} dev ${device}`;
    runLine(line);
    return line;
  }

  /**
   * Only our packet rules tell which virtual servers are ours. Of what stood unnamed when a process ended, the next one can know
   * nothing: it is as if others had made it. So the names that somebody took away are there again before the process ends.
   */
  async #restart(): Promise<string> {
    this.#faults.aim([]);
    if (this.#recordIsBlotted) await this.#becomes([], unnamed, 'at a restart');
    this.#recordIsBlotted = false;
    await this.#daemon?.[Symbol.asyncDispose]();
    await this.#start();
    return '';
  }

  #wantedLines(): readonly string[] {
    const objects = { services: [...this.#services.values()], slices: [...this.#slices.values()] };
    return desiredLines(desiredState(objects, nodeFacts([...this.#nodeAddresses])));
  }

  async #becomesQuiet(done: number): Promise<void> {
    this.#faults.aim([]);
    const ours = (held: readonly string[]): readonly string[] => held.filter((line) => !isForeign(line));
    await this.#becomes(this.#wantedLines(), ours, `after ${done} steps`);
    this.#recordIsBlotted = false;
    this.#told = [];
  }

  /** Waits until this part of what the kernel holds is as expected. */
  async #becomes(
    expected: readonly string[],
    part: (held: readonly string[]) => readonly string[],
    when: string,
  ): Promise<void> {
    const end = performance.now() + quietMilliseconds;
    for (;;) {
      const held = part(await this.#kernel.lines());
      if (JSON.stringify(held) === JSON.stringify(expected)) return;
      if (performance.now() > end)
        assert.deepEqual(held, expected, `${when}; since it was right:\n${this.#told.join('\n')}`);
      await delay(100);
    }
  }
}
