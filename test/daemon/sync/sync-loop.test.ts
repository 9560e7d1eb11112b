import { defaultInstance } from '../../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DriftCounters } from '../../../src/apply/counters/drift-counters.js';
import { DummyInterface } from '../../../src/apply/addresses/dummy-interface.js';
import { EngineState } from '../../../src/apply/state/engine-state.js';
import { DesiredState } from '../../../src/plan/desired-state.js';
import { OperationCounters } from '../../../src/apply/counters/operation-counters.js';
import { defaultRetryDelays } from '../../../src/apply/retry/retries.js';
import { BaseError } from '../../../src/base/errors.js';
import { families, type Family } from '../../../src/base/ip.js';
import { Listeners } from '../../../src/daemon/sync/listeners.js';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { resolveSettings } from '../../../src/config/settings.js';
import { composeCluster } from '../../../src/daemon/composition/compose-cluster.js';
import { composeReconcile, type MirrorPort } from '../../../src/daemon/composition/compose-reconcile.js';
import { ChangeableSettings } from '../../../src/daemon/config/live-settings.js';
import { silentRecorder } from '../../../src/daemon/events/event-recorder.js';
import { NodeNetwork } from '../../../src/daemon/nodes/node-network.js';
import { SyncHealth } from '../../../src/daemon/serving/sync-health.js';
import { defaultSyncRetryDelays } from '../../../src/daemon/sync/failure-state.js';
import { SyncObservers, type SyncObserver } from '../../../src/daemon/sync/sync-observer.js';
import type { SyncTrigger } from '../../../src/daemon/sync/sync-trigger.js';
import type { SetElement } from '../../../src/nftables/declarations.js';
import { packetClassElement } from '../../../src/plan/packet-rules/packet-elements.js';
import { eventually } from '../../support/daemon-process.js';
import { failed, FaultyKernel } from '../../support/faulty-kernel.js';
import { ip, ready, service, slice, type ServiceSpec } from '../../support/objects.js';
import { RecordingLog } from '../../support/recording-log.js';

/** The kernel mirror of a kernel that can be told to fail; `refused`: families whose packet rules it refuses. */
const faultyMirror = (
  kernel: FaultyKernel,
  observed: EngineState,
  log: RecordingLog,
  { refused, elements }: { readonly refused: readonly Family[]; readonly elements: ReadonlySet<SetElement> },
): MirrorPort => ({
  observed,
  dummy: new DummyInterface(
    {
      link: async () => ({ index: 7, kind: 'dummy' }),
      createDummy: async () => ({ status: 'applied' }),
      addresses: async () =>
        [...kernel.addresses].map((address) => ({ address, prefixLength: 32, interfaceIndex: 7 })),
      vipRoutes: async () => [...kernel.routes],
      localIpv6Addresses: async () => kernel.addresses,
      apply: (_, operations) => kernel.apply(operations),
    },
    defaultInstance.dummyInterface,
    log,
  ),
  packetRules: {
    ...kernel.packetRules,
    declare: async () => refused.length === 0,
    invalidate: () => {},
    invalidateIfChanged: async () => {},
    read: async () => {
      kernel.read.push('packet rules');
      return [...elements].filter(({ family }) => !refused.includes(family));
    },
    get inForce() {
      return families.filter((family) => !refused.includes(family));
    },
  },
  takeOver: { isInProgress: () => false, end: async () => {} },
  readAddresses: async () => {
    kernel.read.push('links and addresses');
    return {
      isNodeChanged: false,
      boundVips: { address: [...kernel.addresses], route: [...kernel.routes] },
    };
  },
});

const nodeNetwork = (): NodeNetwork => {
  const network = new NodeNetwork();
  const address = { address: ip('192.0.2.1'), prefixLength: 24, interfaceIndex: 2, interfaceName: 'eth0' };
  network.replace([{ index: 2, name: 'eth0' }], [address], new Set());
  return network;
};

const testSettings = (): ChangeableSettings =>
  new ChangeableSettings(
    resolveSettings({
      flags: parseFlags(['--proxy-mode=ipvs', '--ipvs-min-sync-period=0s', '--ipvs-sync-period=60s']),
      files: [],
      hostname: 'n1',
    }),
  );

/** A sync loop, composed as the daemon composes it, on a kernel that can be told to fail. */
const setUp = ({ isNamedAsOurs = false } = {}) => {
  const kernel = new FaultyKernel();
  const log = new RecordingLog();
  const settings = testSettings();
  const desired = new DesiredState();
  const observed = new EngineState(desired);
  const network = nodeNetwork();
  const counters = new OperationCounters();
  const drift = new DriftCounters(counters);
  const triggers = new Listeners<[SyncTrigger]>();
  const observers = new SyncObservers();
  const raised: unknown[] = [];
  const shared = { settings, families, network, observed, counters, drift, log, notify: triggers.notify };
  // Without nftables kube-ipvs0 tells what is ours.
  const packetFamilies = isNamedAsOurs ? families : [];
  const cluster = composeCluster({ ...shared, packetFamilies, desired, events: silentRecorder });
  const { store } = cluster;
  /** Families whose packet rules the kernel refuses. */
  const refused: Family[] = [];
  /** What the packet rules of the kernel hold when they are read. */
  const elements = new Set<SetElement>();
  const { syncLoop, foreignVirtualServers } = composeReconcile({
    ...shared,
    events: silentRecorder,
    ipvs: kernel,
    conntrack: { flows: async () => [], delete: async () => [] },
    packetFamilies,
    cluster,
    mirror: faultyMirror(kernel, observed, log, { refused, elements }),
    upkeep: {
      checkKernelSettings: () => {},
      ensureIpvs: async () => {},
      connectionSync: { check: async () => {}, checkIfDue: async () => {}, retryDelay: undefined },
    },
    onFlowsCleaned: () => {},
    observer: observers,
    delays: { retry: defaultRetryDelays, syncRetry: defaultSyncRetryDelays },
    raise: (error) => void raised.push(error),
  });
  triggers.add((trigger) => syncLoop.handle(trigger));
  const told: string[] = [];
  const observer: SyncObserver = {
    started: () => void told.push('started'),
    queued: () => void told.push('queued'),
    due: () => {},
    began: () => void told.push('began'),
    ended: ({ succeeded }) => void told.push(succeeded ? 'succeeded' : 'failed'),
  };
  const clock = { date: 0, monotonic: 0 };
  const troubled: Family[] = [];
  const health = new SyncHealth({
    families: ['IPv4', 'IPv6'],
    hasFailed: (family) => troubled.includes(family),
    timeout: () => 60_000,
    clocks: () => clock,
  });
  observers.add(observer, health);
  let fields: ServiceSpec = {};
  /** Makes the Services exactly these, each with one endpoint. */
  const put = (...names: readonly string[]): void => {
    const services = names.map((name, index) =>
      service(name, { clusterIP: `10.96.${Math.floor(index / 250)}.${(index % 250) + 1}`, ...fields }),
    );
    const slices = names.map((name, index) => slice(name, [ready(`10.1.0.${index + 1}`)]));
    store.replaceAll({
      services: new Map(services.map((value) => [value.key, value])),
      endpointSlices: new Map(slices.map((value) => [value.key, value])),
      node: undefined,
    });
  };
  /** What Services have beside a ClusterIP, from now on. */
  const withFields = (changed: ServiceSpec): void => {
    fields = changed;
  };
  /** From now on the kernel cannot be reached; ended by what this gives. */
  const breakKernel = (): (() => void) => {
    const apply = kernel.apply.bind(kernel);
    kernel.apply = async () => {
      throw new BaseError('the socket broke');
    };
    return () => {
      kernel.apply = apply;
    };
  };
  return {
    kernel,
    store,
    proxy: syncLoop,
    log,
    raised,
    told,
    drift,
    put,
    withFields,
    breakKernel,
    health,
    clock,
    troubled,
    refused,
    elements,
    contested: foreignVirtualServers,
  };
};

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
};

test('nothing happens before start, and nothing before both kinds of objects are there in full', async () => {
  const { kernel, store, proxy, put } = setUp();
  await using _stopped = proxy;
  put('web');
  await new Promise(setImmediate);
  assert.deepEqual(kernel.operations, []);
  await proxy.start();
  assert.equal(kernel.tables.size, 1);
  const late = setUp();
  await using _late = late.proxy;
  void late.proxy.start();
  late.store.replace('services', new Map());
  await new Promise(setImmediate);
  assert.deepEqual([late.kernel.operations, late.kernel.read], [[], []]);
  assert.equal(store.synced, true);
});

test('what stood in the kernel before us and is wanted by nobody goes only with the first complete sync', async () => {
  const before = setUp();
  await using _before = before.proxy;
  before.put('web', 'old');
  await before.proxy.start();
  const after = setUp();
  await using _after = after.proxy;
  for (const [key, table] of before.kernel.tables) after.kernel.tables.set(key, table);
  for (const address of before.kernel.addresses) after.kernel.addresses.add(address);
  after.put('web');
  assert.deepEqual(await after.proxy.start(), { applied: 4, failed: 0 });
  assert.deepEqual(after.kernel.operations, ['- virtual server TCP 10.96.0.2:80', '- address 10.96.0.2/32']);
});

test('an exception in a sync is reported, and the next sync reads the kernel anew', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, log, put, breakKernel } = setUp();
  await using _stopped = proxy;
  const mend = breakKernel();
  put('web');
  const first = proxy.start();
  await turns();
  assert.deepEqual(
    log.of('sync-failed').map(({ fields }) => fields['error']),
    ['the socket broke'],
  );
  mend();
  kernel.read.length = 0;
  context.mock.timers.tick(5_000);
  assert.equal((await first).failed, 0);
  assert.ok(kernel.read.includes('all'));
  assert.equal(kernel.tables.size, 1);
});

test('a change during a sync is not lost', async () => {
  const { kernel, proxy, put } = setUp();
  await using _stopped = proxy;
  put('a');
  const first = proxy.start();
  put('a', 'b');
  await first;
  put('a', 'b', 'c');
  await eventually(() => assert.equal(kernel.tables.size, 3), 1_000);
});

test('while syncs break, changes wait for the next try together', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, log, put, breakKernel } = setUp();
  await using _stopped = proxy;
  put('a');
  await proxy.start();
  const mend = breakKernel();
  put('a', 'b');
  await turns();
  put('a', 'b', 'c');
  await turns();
  put('a', 'b', 'c', 'd');
  await turns();
  assert.equal(log.of('sync-failed').length, 1);
  mend();
  context.mock.timers.tick(5_000);
  await turns();
  assert.equal(kernel.tables.size, 4);
});

test('what was ours before syncs broke is ours afterwards', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, put, withFields, breakKernel } = setUp();
  await using _stopped = proxy;
  // Neither on kube-ipvs0 nor a node port: nothing in the kernel says whose it is.
  withFields({ externalIPs: ['192.0.2.1'] });
  put('a');
  await proxy.start();
  assert.equal(kernel.tables.size, 2);
  const mend = breakKernel();
  put();
  await turns();
  mend();
  context.mock.timers.tick(5_000);
  await turns();
  assert.equal(kernel.tables.size, 0);
});

test('what a slice of the resync found and could not repair is repaired with the next try', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, log, put, breakKernel } = setUp();
  await using _stopped = proxy;
  put('a');
  await proxy.start();
  await turns();
  for (const { realServers } of kernel.tables.values())
    for (const [key, server] of realServers) realServers.set(key, { ...server, weight: 9 });
  context.mock.timers.tick(60_000);
  await turns();
  const mend = breakKernel();
  context.mock.timers.tick(30_000);
  await turns();
  assert.equal(log.of('sync-failed').length, 1);
  mend();
  context.mock.timers.tick(5_000);
  await turns();
  const weights = [...kernel.tables.values()].flatMap(({ realServers }) =>
    [...realServers.values()].map(({ weight }) => weight),
  );
  assert.deepEqual(weights, [1]);
});

test('events that are lost again and again make no queue of readings', async () => {
  const { kernel, proxy, put } = setUp();
  await using _stopped = proxy;
  put('a');
  const first = proxy.start();
  for (let count = 0; count < 100; count += 1) proxy.eventsLost();
  await first;
  await turns();
  assert.equal(kernel.read.filter((line) => line === 'links and addresses').length, 1);
});

test('what the kernel goes on refusing is tried again a few times a second at most, without a word', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, log, put } = setUp();
  await using _stopped = proxy;
  kernel.fault = ({ kind }) => (kind === 'bind-address' ? failed('EACCES') : undefined);
  put(...Array.from({ length: 50 }, (_, index) => `s${index}`));
  await proxy.start();
  const before = log.at('info').length;
  let rounds = 0;
  const apply = kernel.apply.bind(kernel);
  kernel.apply = async (operations) => {
    rounds += 1;
    return apply(operations);
  };
  const began = performance.now();
  for (let tenth = 1; tenth <= 10; tenth += 1) {
    context.mock.timers.tick(100);
    while (performance.now() < began + tenth * 100) await turns();
  }
  const seconds = (performance.now() - began) / 1_000;
  assert.ok(rounds >= 1 && rounds <= 5 * seconds, `${rounds} rounds in ${seconds} s`);
  assert.equal(log.at('info').length, before);
});

test('those who watch are told of each request, of what a sync takes in, and how it ended', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { proxy, told, put, breakKernel } = setUp();
  await using _stopped = proxy;
  await turns();
  assert.deepEqual(told, []);
  const first = proxy.start();
  put('a');
  await first;
  await turns();
  assert.deepEqual(told.splice(0), ['started', 'queued', 'began', 'succeeded']);
  const mend = breakKernel();
  put('a', 'b');
  await turns();
  assert.deepEqual(told.splice(0), ['queued', 'began', 'failed']);
  mend();
  context.mock.timers.tick(5_000);
  await turns();
  assert.deepEqual(told.splice(0), ['began', 'succeeded']);
  context.mock.timers.tick(60_000);
  await turns();
  assert.deepEqual(told, ['succeeded']);
});

test('a resync reads every virtual server within half of a period, however many there are', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, put } = setUp();
  await using _stopped = proxy;
  put(...Array.from({ length: 1_000 }, (_, index) => `s${index}`));
  await proxy.start();
  await turns();
  // On a busy machine it gives the event loop more turns.
  const manyTurns = async (): Promise<void> => {
    for (let count = 0; count < 10; count += 1) await turns();
  };
  context.mock.timers.tick(60_000);
  await manyTurns();
  kernel.read.length = 0;
  for (let second = 0; second < 31; second += 1) {
    context.mock.timers.tick(1_000);
    await manyTurns();
  }
  assert.equal(new Set(kernel.read.filter((read) => read.endsWith(' real servers'))).size, 1_000);
});

const realServerReads = (read: readonly string[]): readonly string[] =>
  read.filter((each) => each.endsWith(' real servers'));

test('a resync that is asked for reads all at once; asked for on and on, it leaves time for changes', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, put } = setUp();
  await using _stopped = proxy;
  put(...Array.from({ length: 250 }, (_, index) => `s${index}`));
  await proxy.start();
  await turns();
  kernel.read.length = 0;
  proxy.resyncNow();
  await turns();
  assert.equal(new Set(realServerReads(kernel.read)).size, 250);
  kernel.read.length = 0;
  for (let count = 0; count < 1_000; count += 1) {
    proxy.resyncNow();
    await new Promise(setImmediate);
  }
  assert.deepEqual(realServerReads(kernel.read), []);
  context.mock.timers.tick(60_000);
  await turns();
  assert.equal(realServerReads(kernel.read).length, 250);
});

test('what others changed is counted by what it is; what we do ourselves is not', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, drift, put } = setUp();
  await using _stopped = proxy;
  put('a', 'b', 'c');
  await proxy.start();
  put('a', 'b');
  await turns();
  const drifts = () =>
    drift.counts
      .filter((each) => each.count > 0)
      .map(({ object, drift: kind, count }) => `${object} ${kind} ${count}`)
      .toSorted();
  assert.deepEqual(drifts(), []);
  const [first, second] = kernel.tables.values();
  kernel.tables.delete(first?.server.key ?? ('' as never));
  for (const [key, server] of second?.realServers ?? [])
    second?.realServers.set(key, { ...server, weight: 9 });
  kernel.addresses.clear();
  context.mock.timers.tick(60_000);
  await turns();
  context.mock.timers.tick(30_000);
  await turns();
  assert.deepEqual(drifts(), [
    'address missing 2',
    'real-server differs 1',
    'real-server missing 1',
    'virtual-server missing 1',
  ]);
});

test('a complete sync is healthy; of a family without its packet rules it is none', async () => {
  const { proxy, put, health, clock, troubled } = setUp();
  await using _stopped = proxy;
  troubled.push('IPv6');
  put('web');
  await proxy.start();
  await turns();
  clock.date = clock.monotonic = 60_000;
  assert.deepEqual(health.health(), {
    healthy: false,
    families: { IPv4: { lastUpdated: 0, healthy: true }, IPv6: { lastUpdated: 0, healthy: false } },
  });
});

test('periodic syncs that keep failing turn the proxy unhealthy, though nothing changes; the first that succeeds makes it healthy', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, put, health, clock } = setUp();
  await using _stopped = proxy;
  put('web');
  await proxy.start();
  await turns();
  const read = kernel.virtualServersIncrementally.bind(kernel);
  kernel.virtualServersIncrementally = async () => {
    throw new BaseError('the socket broke');
  };
  context.mock.timers.tick(60_000);
  await turns();
  assert.equal(health.health().healthy, true);
  clock.monotonic = 59_999;
  assert.equal(health.health().healthy, true);
  clock.monotonic = 60_000;
  context.mock.timers.tick(5_000);
  await turns();
  assert.equal(health.health().healthy, false);
  kernel.virtualServersIncrementally = read;
  context.mock.timers.tick(5_000);
  await turns();
  assert.equal(health.health().healthy, true);
});

test('packet rules that somebody changed are repaired, though those of the other family are refused', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, put, withFields, refused } = setUp();
  await using _stopped = proxy;
  withFields({ clusterIPs: ['10.96.0.1', 'fd00:96::1'], ipFamilies: ['IPv4', 'IPv6'] });
  refused.push('IPv6');
  put('web');
  await proxy.start();
  await turns();
  assert.ok(kernel.packetRuleOperations.includes('+ element IPv6 vips fd00:96::1'));
  kernel.packetRuleOperations.length = 0;
  proxy.packetRulesChanged();
  context.mock.timers.tick(50);
  await turns();
  assert.deepEqual(kernel.packetRuleOperations, [
    '+ element IPv4 cluster-ip 10.96.0.1 . TCP . 80',
    '+ element IPv4 vips 10.96.0.1',
  ]);
});

test('packet rules that somebody changes while the kernel is read at first are read again', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, put } = setUp();
  await using _stopped = proxy;
  const read = kernel.virtualServersIncrementally.bind(kernel);
  kernel.virtualServersIncrementally = async () => {
    proxy.packetRulesChanged();
    return read();
  };
  put('web');
  await proxy.start();
  kernel.read.length = 0;
  context.mock.timers.tick(50);
  await turns();
  assert.deepEqual(kernel.read, ['packet rules']);
});

test('a sync that could not declare the packet rules has failed in part; they are tried again alone', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, put, refused } = setUp();
  await using _stopped = proxy;
  refused.push('IPv4', 'IPv6');
  put('web');
  assert.equal((await proxy.start()).failed, 1);
  await turns();
  kernel.read.length = 0;
  context.mock.timers.tick(5_000);
  await turns();
  assert.deepEqual(kernel.read, []);
});

test('what could not be known as ours, as its names could not be read, is ours and keeps them once they can', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const before = setUp();
  before.put('web');
  await before.proxy.start();
  await before.proxy[Symbol.asyncDispose]();
  const [table] = before.kernel.tables.values();
  assert.ok(table?.server.identity.by === 'address');
  const { kernel, proxy, put, refused, elements, contested } = setUp({ isNamedAsOurs: true });
  await using _stopped = proxy;
  kernel.tables.set(table.server.key, table);
  elements.add(packetClassElement(table.server.identity, 'cluster-ip'));
  refused.push('IPv4');
  put('web');
  await proxy.start();
  await turns();
  assert.equal(contested.size, 1);
  refused.length = 0;
  proxy.packetRulesChanged();
  context.mock.timers.tick(50);
  await turns();
  assert.equal(contested.size, 0);
  assert.deepEqual(
    kernel.packetRuleOperations.filter((line) => line.startsWith('-')),
    [],
  );
  put('web', 'other');
  await turns();
  assert.equal(kernel.tables.size, 2);
});

/** Breaks the code that applies operations, as a programming error would. */
const breakCode = (kernel: FaultyKernel): void => {
  kernel.apply = async () => {
    throw new TypeError('undefined is not a function');
  };
};

test('a programming error is raised, not retried: the loop does not touch the kernel any more', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, proxy, log, raised, put } = setUp();
  await using _stopped = proxy;
  put('a');
  await proxy.start();
  await turns();
  breakCode(kernel);
  put('a', 'b');
  await turns();
  assert.deepEqual(raised.map(String), ['TypeError: undefined is not a function']);
  assert.deepEqual([proxy.state, proxy.nextWakeup, log.of('sync-failed')], ['failed', undefined, []]);
  kernel.read.length = 0;
  put('a', 'b', 'c');
  context.mock.timers.tick(120_000);
  await turns();
  assert.deepEqual(kernel.read, []);
  assert.equal(raised.length, 1);
});

test('the loop says where it is, and when it acts next', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { kernel, store, proxy, put, breakKernel } = setUp();
  await using _stopped = proxy;
  const states = [proxy.state];
  const first = proxy.start();
  states.push(proxy.state);
  put('a');
  states.push(proxy.state);
  await first;
  await turns();
  states.push(proxy.state);
  assert.equal(store.synced, true);
  assert.equal(proxy.nextWakeup, undefined);
  const mend = breakKernel();
  put('a', 'b');
  await turns();
  states.push(proxy.state);
  const wait = (proxy.nextWakeup ?? 0) - performance.now();
  assert.ok(wait > 0 && wait <= 1_500, `${wait} ms`);
  mend();
  context.mock.timers.tick(5_000);
  await turns();
  states.push(proxy.state);
  assert.deepEqual(states, [
    'not-started',
    'waiting-for-sources',
    'adopting',
    'in-sync',
    'retrying',
    'in-sync',
  ]);
  assert.equal(kernel.tables.size, 2);
});
