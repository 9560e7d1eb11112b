// How a resync reads the IPVS table as a file, and what it does where it cannot: over the fake kernel, in virtual time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TableFile } from '../../src/kernel/ipvs/table-file/table-file.js';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { IpvsOperation } from '../../src/model/operation.js';
import { FakeKernel } from '../support/fake-kernel/fake-kernel.js';
import { OtherProgram } from '../support/fake-kernel/other-program.js';
import { ready, service, slice } from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';
import { RecordingLog } from '../support/recording-log.js';
import { at, real, virtual } from '../support/virtual-server-entries.js';

const syncPeriod = 3_600_000;
/** Enough for two pieces of the file. */
const count = 240;
const vip = (index: number): string => `10.96.0.${index}`;
const serviceOf = (index: number) => service(`s${index}`, { clusterIP: vip(index) });
const sliceOf = (index: number) => slice(`s${index}`, [ready(`10.1.0.${index}`), ready(`10.2.0.${index}`)]);
const identityOf = (index: number) => at('TCP', vip(index), 80);
const indexes = Array.from({ length: count }, (_, index) => index + 1);
const objects = { services: indexes.map(serviceOf), slices: indexes.map(sliceOf) };

interface Start {
  /** Takes the place of the fake kernel's file. */
  readonly file?: (kernel: TableFile) => TableFile;
  readonly log?: RecordingLog;
}

/** A node with 240 Services whose last rounds found nothing. */
const serving = async ({ file, log }: Start = {}): Promise<ProductionNode> => {
  const node = await ProductionNode.start({
    settings: { syncPeriod },
    ...(file && { tableFile: file }),
    ...(log && { log }),
  });
  await node.replace(objects);
  await node.advance(2 * syncPeriod);
  return node;
};

const ipvsMessages = (node: ProductionNode): number =>
  node.kernel.received.filter(({ kind }) => kind.startsWith('ipvs')).length;
const counts = (node: ProductionNode) => node.composition.resync.counts;

const another = real('10.9.9.9', 80);
const drifts: readonly (readonly [string, readonly IpvsOperation[]])[] = [
  ['a deleted virtual server', [{ kind: 'delete-virtual-server', server: identityOf(7) }]],
  [
    'another scheduler',
    [{ kind: 'update-virtual-server', server: virtual(identityOf(7), { scheduler: 'wlc' }) }],
  ],
  ['ops', [{ kind: 'update-virtual-server', server: virtual(identityOf(7), { flags: ['ops'] }) }]],
  [
    'persistence',
    [
      {
        kind: 'update-virtual-server',
        server: virtual(identityOf(7), { persistence: { seconds: 9, prefixLength: 32 } }),
      },
    ],
  ],
  [
    'a deleted real server',
    [{ kind: 'delete-real-server', of: identityOf(7), server: real('10.1.0.7', 80) }],
  ],
  ['another real server', [{ kind: 'add-real-server', of: identityOf(7), server: another }]],
  [
    'another weight',
    [{ kind: 'update-real-server', of: identityOf(7), server: real('10.1.0.7', 80, { weight: 4 }) }],
  ],
];

/** The Service with at most five connections for each real server. */
const limited = (index: number) =>
  service(`s${index}`, {
    clusterIP: vip(index),
    annotations: { 'ipvs.kube-ipvs.dev/upper-threshold': '5' },
  });

/** What another program does with the limit of its first real server. */
const limit = (index: number, upperThreshold: number): IpvsOperation => ({
  kind: 'update-real-server',
  of: identityOf(index),
  server: real(`10.1.0.${index}`, 80, { upperThreshold }),
});

const limits = async (node: ProductionNode, index: number): Promise<readonly number[]> =>
  (await node.other.ipvs.realServers(identityOf(index))).map(({ upperThreshold }) => upperThreshold);

describe('a resync by the file', () => {
  for (const [name, operations] of drifts)
    test(`repairs ${name}`, async () => {
      await using node = await serving();
      const { lines } = node;
      const before = counts(node);
      for (const operation of operations) await node.other.apply(operation);
      assert.notDeepEqual(node.lines, lines);
      await node.advance(syncPeriod);
      assert.deepEqual(node.lines, lines);
      assert.deepEqual(counts(node), { file: before.file + 1, netlink: before.netlink });
    });

  test('removes a real server that another program adds again after its endpoint is gone', async () => {
    await using node = await serving();
    await node.change(serviceOf(7).key, serviceOf(7), [slice('s7', [ready('10.1.0.7')])]);
    await node.advance(syncPeriod);
    const { lines } = node;
    await node.other.apply({ kind: 'add-real-server', of: identityOf(7), server: real('10.2.0.7', 80) });
    await node.advance(syncPeriod);
    assert.deepEqual(node.lines, lines);
  });

  /** What the daemon changes because of a Service, and how another program changes it back before the next round, in which it is no virtual server's turn. */
  const undone: readonly (readonly [string, readonly EndpointSlice[], readonly IpvsOperation[]])[] = [
    [
      'a deleted real server',
      [slice('s150', [ready('10.1.0.150')])],
      [{ kind: 'add-real-server', of: identityOf(150), server: real('10.2.0.150', 80) }],
    ],
    [
      'an added real server',
      [slice('s150', [ready('10.1.0.150'), ready('10.2.0.150'), ready('10.3.0.150')])],
      [{ kind: 'delete-real-server', of: identityOf(150), server: real('10.3.0.150', 80) }],
    ],
  ];
  for (const [name, slices, operations] of undone)
    test(`finds ${name} that another program changes back at once`, async () => {
      await using node = await serving();
      await node.change(serviceOf(150).key, serviceOf(150), slices);
      const { lines } = node;
      for (const operation of operations) await node.other.apply(operation);
      assert.notDeepEqual(node.lines, lines);
      await node.advance(syncPeriod);
      assert.deepEqual(node.lines, lines);
    });

  test('finds a virtual server that another program makes at once in place of one that is gone', async () => {
    await using node = await serving();
    await node.change(serviceOf(150).key, undefined, []);
    for (const operation of [
      { kind: 'add-virtual-server', server: virtual(identityOf(150)) },
      ...['10.1.0.150', '10.2.0.150'].map((address) => ({
        kind: 'add-real-server' as const,
        of: identityOf(150),
        server: real(address, 80),
      })),
    ] as const)
      await node.other.apply(operation);
    assert.deepEqual(await node.advance(syncPeriod), []);
    const { foreign } = node.composition.observed.virtualServers;
    assert.deepEqual([...foreign.keys()], [virtual(identityOf(150)).key]);
  });

  test('queries netlink for what differs and for 50 virtual servers by turns', async () => {
    await using node = await serving();
    const messages = ipvsMessages(node);
    await node.advance(syncPeriod);
    const quiet = ipvsMessages(node) - messages;
    assert.ok(quiet <= 110, `${quiet} messages`);
    await node.other.apply({ kind: 'delete-virtual-server', server: identityOf(150) });
    const before = ipvsMessages(node);
    await node.advance(syncPeriod);
    assert.ok(ipvsMessages(node) - before <= 115);
  });

  test('finds what the file does not show when its turn comes', async () => {
    await using node = await serving();
    const limited = real('10.1.0.7', 80, { upperThreshold: 5 });
    const flagged = virtual(identityOf(180), { flags: ['flag-1'] });
    await node.other.apply({ kind: 'update-real-server', of: identityOf(7), server: limited });
    await node.other.apply({ kind: 'update-virtual-server', server: flagged });
    await node.advance(4 * syncPeriod);
    const [server] = await node.other.ipvs.realServers(identityOf(7));
    assert.equal(server?.upperThreshold, 0);
    assert.deepEqual((await node.other.ipvs.virtualServer(identityOf(180)))?.flags, []);
  });

  test('finds what the file does not show of a Service with limits in every round', async () => {
    await using node = await serving();
    const web = limited(180);
    await node.change(web.key, web, [sliceOf(180)]);
    for (let round = 0; round < 3; round += 1) {
      await node.other.apply(limit(180, 0));
      assert.deepEqual(await limits(node, 180), [0, 5]);
      await node.advance(syncPeriod);
      assert.deepEqual(await limits(node, 180), [5, 5]);
    }
  });

  test('adopts no virtual server of another program, and notices that it goes', async () => {
    await using node = await serving();
    const foreign = [
      virtual(at('UDP', '192.0.2.1', 53)),
      virtual({ by: 'fwmark', fwmark: 5, family: 'IPv4' }),
      virtual({ by: 'fwmark', fwmark: 5, family: 'IPv6' }),
    ];
    for (const server of foreign) await node.other.apply({ kind: 'add-virtual-server', server });
    assert.deepEqual(await node.advance(syncPeriod), []);
    const known = node.composition.observed.virtualServers.foreign;
    assert.deepEqual([...known.keys()].toSorted(), foreign.map(({ key }) => key).toSorted());
    // Both are known: neither needs a query.
    const messages = ipvsMessages(node);
    await node.advance(syncPeriod);
    assert.ok(ipvsMessages(node) - messages <= 110);
    for (const { identity } of foreign.slice(0, 2))
      await node.other.apply({ kind: 'delete-virtual-server', server: identity });
    assert.deepEqual(await node.advance(syncPeriod), []);
    assert.deepEqual([...known.keys()], ['FWM 5 IPv6']);
  });

  test('takes a virtual server that another program makes in place of a deleted one for its own', async () => {
    await using node = await serving();
    const { lines } = node;
    await node.other.apply({ kind: 'delete-virtual-server', server: identityOf(7) });
    await node.other.apply({
      kind: 'add-virtual-server',
      server: virtual(identityOf(7), { scheduler: 'wlc' }),
    });
    await node.advance(syncPeriod);
    assert.deepEqual(node.lines, lines);
  });
});

describe('the first read', () => {
  const restartAfter = async (
    node: ProductionNode,
    operations: readonly IpvsOperation[],
  ): Promise<{ readonly messages: number; readonly changes: readonly string[] }> => {
    await node.stop();
    for (const operation of operations) await node.other.apply(operation);
    const before = ipvsMessages(node);
    const changes = await node.restart();
    return { messages: ipvsMessages(node) - before, changes };
  };

  test('reads the thresholds of a Service with limits at once, and those of others in the next round', async () => {
    await using node = await serving();
    const web = limited(180);
    await node.change(web.key, web, [sliceOf(180)]);
    await restartAfter(node, [limit(180, 0), limit(170, 5)]);
    assert.deepEqual(await limits(node, 180), [5, 5]);
    assert.deepEqual(await limits(node, 170), [5, 0]);
    await node.advance(1.5 * syncPeriod);
    assert.deepEqual(await limits(node, 170), [0, 0]);
  });

  test('queries netlink only for virtual servers whose real servers are not as desired', async () => {
    await using node = await serving();
    const { lines } = node;
    const quiet = await restartAfter(node, []);
    assert.deepEqual(quiet.changes, []);
    assert.ok(quiet.messages < 10, `${quiet.messages} messages`);
    const [, deletion = []] = drifts.find(([name]) => name === 'a deleted real server') ?? [];
    const drifted = await restartAfter(node, deletion);
    assert.deepEqual(drifted.changes, ['+ real server TCP 10.96.0.7:80 → 10.1.0.7:80 masquerade weight 1']);
    assert.ok(drifted.messages < 15, `${drifted.messages} messages`);
    assert.deepEqual(node.lines, lines);
  });

  for (const [name, operations] of drifts)
    test(`finds ${name}`, async () => {
      await using node = await serving();
      const { lines } = node;
      await restartAfter(node, operations);
      assert.deepEqual(node.lines, lines);
    });

  test('needs no file', async () => {
    await using node = await serving({
      file: () => () => {
        throw new Error('ENOENT: no such file or directory');
      },
    });
    const { lines } = node;
    const { messages, changes } = await restartAfter(node, []);
    assert.deepEqual(changes, []);
    assert.ok(messages > count, `${messages} messages`);
    assert.deepEqual(node.lines, lines);
  });
});

describe('a file that does not show one moment', () => {
  /** Runs between two reads of each file. */
  const meanwhile = { act: (): void => {} };
  const interrupted =
    (kernel: TableFile): TableFile =>
    () => {
      const file = kernel();
      let reads = 0;
      return {
        read: (buffer, offset) => {
          reads += 1;
          if (reads === 2) meanwhile.act();
          return file.read(buffer, offset);
        },
        close: () => file.close(),
      };
    };

  test('passes over or repeats virtual servers, and nothing is written', async () => {
    await using node = await serving({ file: interrupted });
    const { lines } = node;
    const { ipvs } = node.kernel;
    const missed = () => ipvs.rotate(-150);
    const repeated = () => ipvs.rotate(150);
    for (const act of [missed, repeated]) {
      let acted = 0;
      meanwhile.act = () => {
        acted += 1;
        act();
      };
      assert.deepEqual(await node.advance(syncPeriod), []);
      assert.equal(acted, 1);
    }
    meanwhile.act = () => {};
    assert.deepEqual(node.lines, lines);
  });

  test('shows a virtual server that is gone, and one that is not there yet', async () => {
    await using node = await serving({ file: interrupted });
    const { lines } = node;
    meanwhile.act = () => {
      meanwhile.act = () => {};
      void node.other.apply({ kind: 'delete-virtual-server', server: identityOf(1) });
      void node.other.apply({ kind: 'add-virtual-server', server: virtual(at('UDP', '192.0.2.1', 53)) });
    };
    await node.advance(syncPeriod);
    await node.advance(syncPeriod);
    assert.deepEqual(
      node.lines.filter((line) => !line.startsWith('UDP')),
      lines,
    );
  });

  test('of another network namespace leads to no write', async () => {
    const elsewhere = new FakeKernel();
    const program = new OtherProgram(elsewhere.connectOther);
    for (const server of [virtual(identityOf(3), { scheduler: 'wlc' }), virtual(at('UDP', '192.0.2.1', 53))])
      await program.apply({ kind: 'add-virtual-server', server });
    let isOther = false;
    await using node = await serving({
      file: (kernel) => () => (isOther ? elsewhere.ipvs.tableFile() : kernel()),
    });
    isOther = true;
    const { lines } = node;
    assert.deepEqual(await node.advance(2 * syncPeriod), []);
    assert.deepEqual(node.lines, lines);
    assert.equal(node.composition.observed.virtualServers.foreign.size, 0);
  });
});

describe('without a usable file', () => {
  const missing = (): TableFile => () => {
    throw new Error('ENOENT: no such file or directory');
  };
  const changed =
    (kernel: TableFile): TableFile =>
    () => {
      const file = kernel();
      let reads = 0;
      return {
        read: (buffer, offset) => {
          reads += 1;
          const bytes = file.read(buffer, offset);
          // In the second piece: the first has been compared by then.
          if (reads === 9) buffer.write('QUIC', buffer.indexOf('TCP', offset), 'latin1');
          return bytes;
        },
        close: () => file.close(),
      };
    };

  for (const [what, file, problem] of [
    ['is missing', missing, 'ENOENT'],
    ['has another format', changed, 'QUIC'],
  ] as const) {
    test(`that ${what}, drift is found over netlink, which is logged once and counted`, async () => {
      const log = new RecordingLog();
      await using node = await serving({ file, log });
      const { lines } = node;
      for (const [, operations] of drifts) {
        const before = counts(node);
        for (const operation of operations) await node.other.apply(operation);
        // The slices of the real servers take the first half of the period.
        await node.advance(1.5 * syncPeriod);
        assert.deepEqual(node.lines, lines);
        assert.equal(counts(node).file, 0);
        assert.ok(counts(node).netlink > before.netlink);
      }
      const warnings = log.of('ipvs-table-file-unusable');
      assert.equal(warnings.length, 1);
      assert.match(String(warnings[0]?.fields['problem']), new RegExp(problem));
    });
  }

  test('that comes back, it is read again', async () => {
    const log = new RecordingLog();
    let isMissing = true;
    await using node = await serving({
      file: (kernel) => () => (isMissing ? missing()() : kernel()),
      log,
    });
    isMissing = false;
    const before = counts(node);
    await node.advance(syncPeriod);
    assert.deepEqual(counts(node), { file: before.file + 1, netlink: before.netlink });
    assert.equal(log.of('ipvs-table-file-usable').length, 1);
  });
});
