// An endpoint that gets requests and does not answer: over the fake kernel, in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notReady, servingTerminating } from '../support/objects.js';
import { at } from '../support/virtual-server-entries.js';
import { defaultInstance } from '../../src/model/instance-names.js';
import { PacedNode, pod, type PaceAnnotations } from '../support/paced-node.js';

const quarantine = { quarantine: '30s' };
const second = 1_000;

interface Counts {
  connections: bigint;
  inPackets: bigint;
  outPackets: bigint;
}

/** Clients of `web`: each second every real server that takes connections gets one, and answers unless it is silent. */
class Clients {
  readonly #counts = new Map<string, Counts>();

  constructor(
    private readonly web: PacedNode,
    readonly silent: Set<string>,
  ) {}

  async run(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 1) {
      for (const { key, address, weight } of this.web.realServers)
        if (weight > 0) this.#connect(`TCP 10.96.0.1:80 → ${key}`, !this.silent.has(address));
      await this.web.node.advance(second);
    }
  }

  #connect(name: string, answers: boolean): void {
    const counts = this.#counts.get(name) ?? { connections: 0n, inPackets: 0n, outPackets: 0n };
    counts.connections += 1n;
    counts.inPackets += 4n;
    if (answers) counts.outPackets += 3n;
    this.#counts.set(name, counts);
    this.web.node.kernel.ipvs.counters.set(name, { ...counts });
  }
}

const silentWeb = async (
  pods: readonly number[],
  silent: readonly number[],
  annotations: PaceAnnotations = quarantine,
): Promise<{ readonly web: PacedNode; readonly clients: Clients } & AsyncDisposable> => {
  const web = await PacedNode.start(annotations, pods);
  return {
    web,
    clients: new Clients(web, new Set(silent.map(pod))),
    [Symbol.asyncDispose]: () => web[Symbol.asyncDispose](),
  };
};

/** Another program gives the first real server the weight 0. */
const takeWeight = async (web: PacedNode): Promise<void> => {
  const [server] = web.realServers;
  assert.ok(server);
  await web.node.other.apply({
    kind: 'update-real-server',
    of: at('TCP', '10.96.0.1', 80),
    server: { ...server, weight: 0 },
  });
};

const countsOf = (web: PacedNode) => web.node.composition.reconciler.pacer.counts;

test('a silent endpoint gets no connections for a while, and is then tried again', async () => {
  await using lab = await silentWeb([1, 2, 3], [3]);
  const { web, clients } = lab;
  await clients.run(12);
  assert.equal(web.weights, '1:1 2:1 3:0');
  assert.deepEqual(countsOf(web), { climbing: 0, quarantined: 1, quarantines: 1 });
  clients.silent.clear();
  await clients.run(30);
  assert.equal(web.weights, '1:1 2:1 3:1');
  await clients.run(30);
  assert.equal(web.weights, '1:1 2:1 3:1');
  assert.deepEqual(countsOf(web), { climbing: 0, quarantined: 0, quarantines: 1 });
});

test('one that stays silent is quarantined again', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  await lab.clients.run(60);
  assert.equal(lab.web.weights, '1:1 2:0');
  assert.equal(countsOf(lab.web).quarantines, 2);
});

test('with slow start it climbs when it is tried again', async () => {
  await using lab = await silentWeb([1, 2], [2], { ...quarantine, 'slow-start': '30s' });
  const { web, clients } = lab;
  await clients.run(12);
  assert.equal(web.weights, '1:10 2:0');
  clients.silent.clear();
  await clients.run(30);
  assert.equal(web.weights, '1:10 2:1');
  await clients.run(30);
  assert.equal(web.weights, '1:10 2:10');
});

test('the last endpoint, and more than half of them, are never quarantined', async () => {
  await using lab = await silentWeb([1, 2, 3, 4], [2, 3, 4]);
  const { web, clients } = lab;
  await clients.run(60);
  assert.equal(web.realServers.filter(({ weight }) => weight === 0).length, 2);
  await web.setPods([2]);
  assert.equal(web.weights, '2:1');
  await clients.run(60);
  assert.equal(web.weights, '2:1');
});

test('where no endpoint answers none is quarantined', async () => {
  await using lab = await silentWeb([1, 2, 3], [1, 2, 3]);
  await lab.clients.run(60);
  assert.equal(lab.web.weights, '1:1 2:1 3:1');
});

test('an endpoint without requests is not quarantined', async () => {
  await using lab = await silentWeb([1, 2], []);
  const { web } = lab;
  await lab.clients.run(9);
  const one = `TCP 10.96.0.1:80 → ${pod(1)}:80`;
  for (let more = 1n; more < 20n; more += 1n) {
    web.node.kernel.ipvs.counters.set(one, {
      connections: 100n * more,
      inPackets: 100n * more,
      outPackets: 100n * more,
    });
    await web.node.advance(second);
  }
  assert.equal(web.weights, '1:1 2:1');
});

test('where more endpoints leave than are quarantined, a quarantine ends', async () => {
  await using lab = await silentWeb([1, 2, 3, 4], [3, 4]);
  const { web, clients } = lab;
  await clients.run(12);
  assert.equal(web.weights, '1:1 2:1 3:0 4:0');
  await web.setPods([1, 3, 4]);
  assert.equal(web.realServers.filter(({ weight }) => weight === 0).length, 1);
});

test('readiness is the word of the API: an endpoint that is not ready leaves its quarantine, and drains', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  const { web, clients } = lab;
  web.node.kernel.ipvs.busy = true;
  await clients.run(12);
  assert.equal(web.weights, '1:1 2:0');
  await web.setPods([1, notReady(pod(2))]);
  assert.equal(web.weights, '1:1 2:0');
  assert.equal(countsOf(web).quarantined, 0);
  assert.equal(web.node.composition.reconciler.drains.size, 1);
  await web.setPods([1, 2]);
  assert.equal(web.weights, '1:1 2:1');
  assert.equal(web.node.composition.reconciler.drains.size, 0);
  web.node.kernel.ipvs.busy = false;
});

test('a quarantine is no drain: it ends no connection and is not deleted', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  const { web, clients } = lab;
  web.node.kernel.ipvs.busy = true;
  await clients.run(12);
  assert.equal(web.node.composition.reconciler.drains.size, 0);
  assert.equal(web.weights, '1:1 2:0');
  assert.deepEqual(await web.node.resync(), []);
  web.node.kernel.ipvs.busy = false;
  await web.node.advance(10_000);
  assert.equal(web.weights, '1:1 2:0');
});

test('endpoints that only serve because no other is ready are not quarantined', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  const { web, clients } = lab;
  await web.setPods([servingTerminating(pod(1)), servingTerminating(pod(2))]);
  await clients.run(30);
  assert.equal(web.weights, '1:1 2:1');
});

/** What the elements of drains and quarantines record for the next process. */
const records = ({ node }: PacedNode): readonly string[] =>
  [...node.kernel.nftables.elementsOf(defaultInstance.table)].flatMap(({ set, fields, comment = '' }) =>
    set === 'draining' ? [`${fields.join(' ')}: ${comment.replace(/[\d.]+/, 'N')}`] : [],
  );

test('a quarantine goes on after a restart of the daemon, for the rest of its time', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  const { web, clients } = lab;
  await clients.run(12);
  assert.equal(web.weights, '1:1 2:0');
  const record = '10.96.0.1 TCP 80 10.1.0.2 80: quarantined since N s after boot';
  assert.deepEqual(records(web), [record]);
  await web.node.advance(15 * second);
  assert.deepEqual(await web.node.restart(), []);
  assert.deepEqual(await web.node.resync(), []);
  assert.deepEqual(records(web), [record]);
  await web.node.advance(5 * second);
  assert.equal(web.weights, '1:1 2:0');
  await web.node.advance(20 * second);
  assert.equal(web.weights, '1:1 2:1');
  assert.deepEqual(records(web), []);
});

test('a quarantine whose time ends while the daemon is away ends with its next start', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  const { web, clients } = lab;
  await clients.run(12);
  await web.node.stop();
  await web.node.advance(60 * second);
  await web.node.restart();
  assert.deepEqual([web.weights, records(web)], ['1:1 2:1', []]);
});

test('a weight that rises from 0 while the daemon is away is no quarantine', async () => {
  await using lab = await silentWeb([1, 2], []);
  const { web } = lab;
  await web.node.stop();
  await takeWeight(web);
  await web.node.restart();
  assert.equal(web.weights, '1:1 2:1');
  assert.deepEqual(countsOf(web), { climbing: 0, quarantined: 0, quarantines: 0 });
});

test('where an endpoint leaves its quarantine and drains, the record tells the next process of the drain', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  const { web, clients } = lab;
  web.node.kernel.ipvs.busy = true;
  await clients.run(12);
  await web.setPods([1]);
  assert.deepEqual(records(web), ['10.96.0.1 TCP 80 10.1.0.2 80: since N s after boot']);
  assert.deepEqual(await web.restartWith([1]), []);
  await web.restartWith([1, 2]);
  assert.equal(web.weights, '1:1 2:1');
  web.node.kernel.ipvs.busy = false;
});

test('an endpoint that drained when the daemon stopped and is back when it starts is not quarantined', async () => {
  await using lab = await silentWeb([1, 2], []);
  const { web } = lab;
  web.node.kernel.ipvs.busy = true;
  await web.setPods([1]);
  assert.equal(web.weights, '1:1 2:0');
  await web.restartWith([1, 2]);
  assert.equal(web.weights, '1:1 2:1');
  web.node.kernel.ipvs.busy = false;
});

test('the setting goes while an endpoint is quarantined: it has its weight again, and no counters are read', async () => {
  await using lab = await silentWeb([1, 2], [2]);
  const { web, clients } = lab;
  await clients.run(12);
  web.annotations = {};
  await web.setPods([1, 2]);
  assert.equal(web.weights, '1:1 2:1');
  assert.equal(web.node.composition.reconciler.pacer.nextDelay, undefined);
});

test('a drift of weights to 0 by another program is repaired, and is no quarantine', async () => {
  await using lab = await silentWeb([1, 2], []);
  const { web } = lab;
  await takeWeight(web);
  await web.node.resync();
  assert.equal(web.weights, '1:1 2:1');
});

test('sh and mh get a fallback; dh has no quarantine, and the Service learns it', async () => {
  for (const [scheduler, flags, problems] of [
    ['sh', ['sh-fallback'], []],
    ['mh', ['mh-fallback', 'mh-port'], []],
    ['dh', [], ['QuarantineUnsupported']],
  ] as const) {
    await using web = await PacedNode.start({ ...quarantine, scheduler }, [1, 2]);
    assert.deepEqual(web.node.kernel.ipvs.tables()[0]?.server.flags, flags);
    assert.deepEqual(web.node.problems, problems);
  }
});
