import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { withoutStatistics, toRealServer } from '../../src/apply/mirror/kernel-reader.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { digestOf, RealServersDigest } from '../../src/kernel/ipvs/table-file/digest.js';
import { showsSettings, TickRate, type FileSettings } from '../../src/kernel/ipvs/table-file/settings.js';
import { procTableFile, readTableFile, type TableFile } from '../../src/kernel/ipvs/table-file/table-file.js';
import { keyOfLine } from '../../src/kernel/ipvs/table-file/table-parser.js';
import type { IpvsOperation } from '../../src/model/operation.js';
import type {
  RealServer,
  VirtualServer,
  VirtualServerFlag,
  VirtualServerIdentity,
} from '../../src/model/virtual-server.js';
import { runLine } from '../support/lab-guest.js';
import { startInProcessWith, type InProcessDaemon } from '../support/in-process-daemon.js';
import { ready, service, slice } from '../support/objects.js';
import { at, everyOption, real, virtual } from '../support/virtual-server-entries.js';
import { elapse } from '../support/virtual-clock.js';

// /proc/net/ip_vs of a real kernel, beside what netlink reports.

const client = IpvsClient.open();
after(() => client.close());

const apply = async (...operations: readonly IpvsOperation[]): Promise<void> => {
  const outcomes = await client.apply(operations);
  assert.deepEqual(
    outcomes.filter(({ status }) => status !== 'applied'),
    [],
  );
};
const add = (server: VirtualServer): IpvsOperation => ({ kind: 'add-virtual-server', server });
const addReal = (of: VirtualServerIdentity, server: RealServer): IpvsOperation => ({
  kind: 'add-real-server',
  of,
  server,
});

interface Shown {
  readonly settings: FileSettings;
  readonly digest: RealServersDigest;
}

/** What the file shows, by the key of the virtual server, or `FWM` and the mark. */
const readFile = async (file: TableFile = procTableFile): Promise<ReadonlyMap<string, Shown>> => {
  const found = new Map<string, Shown>();
  let last: Shown | undefined;
  await readTableFile(file, {
    virtualServer: (line) => {
      last = { settings: line.settings, digest: new RealServersDigest() };
      found.set(line.protocol === 'FWM' ? `FWM ${line.words[0]}` : keyOfLine(line), last);
    },
    realServer: (line) => last?.digest.add(line),
    afterPiece: async () => {},
  });
  return found;
};

/** The keys of the virtual servers of which the file shows something else than netlink reports. */
const differences = async (rate: TickRate): Promise<readonly string[]> => {
  const shown = await readFile();
  const servers = await client.virtualServers();
  assert.equal(shown.size, servers.length);
  const differing: string[] = [];
  for (const server of servers) {
    const { key, identity } = server;
    const line = shown.get(identity.by === 'fwmark' ? `FWM ${identity.fwmark}` : key) ?? assert.fail(key);
    const digest = digestOf(await client.realServers(identity));
    if (!showsSettings(line.settings, server, rate) || line.digest.value !== digest) differing.push(key);
  }
  return differing;
};

const rateOfThisKernel = async (): Promise<TickRate> => {
  const rate = new TickRate();
  await apply(add(virtual(at('TCP', '10.99.0.1', 1), { persistence: { seconds: 77, prefixLength: 32 } })));
  const { settings } = (await readFile()).get('TCP 10.99.0.1:1') ?? assert.fail();
  rate.learn(settings.persistence ?? assert.fail(), 77);
  return rate;
};

const schedulers = 'rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos'.split(' ');

const flagsOf = (scheduler: string): readonly (readonly VirtualServerFlag[])[] => {
  if (scheduler === 'sh') return [[], ['sh-fallback'], ['ops', 'sh-fallback', 'sh-port']];
  if (scheduler === 'mh') return [[], ['mh-port'], ['mh-fallback', 'mh-port', 'ops']];
  return [[], ['ops'], ['flag-1', 'flag-2', 'flag-3']];
};

const persistences = [
  undefined,
  { seconds: 1, prefixLength: 8 },
  { seconds: 10_800, prefixLength: 24 },
] as const;

describe('the table file of this kernel', () => {
  afterEach(() => void runLine('ipvsadm -C'));

  test('shows what netlink reports, for every scheduler, flag and persistence', async () => {
    const rate = await rateOfThisKernel();
    let port = 1;
    for (const scheduler of schedulers)
      for (const flags of flagsOf(scheduler))
        for (const persistence of persistences)
          for (const address of ['10.96.0.1', 'fd00:96::1']) {
            const identity = at('UDP', address, (port += 1));
            await apply(add(virtual(identity, { scheduler, flags: [...flags].toSorted(), persistence })));
          }
    assert.deepEqual(await differences(rate), []);
  });

  test('shows what netlink reports of every option of ipvsadm, and of every real server', async () => {
    const rate = await rateOfThisKernel();
    for (const { server, realServers } of everyOption)
      await apply(add(server), ...[...realServers.values()].map((each) => addReal(server.identity, each)));
    const web = at('TCP', '10.96.0.1', 80);
    const forwardings = ['masquerade', 'local', 'tunnel', 'direct', 'bypass'] as const;
    const weights = [0, 1, 100, 65_535, 0x7fffffff];
    await apply(
      add(virtual(web)),
      ...forwardings.map((forwarding, index) =>
        addReal(web, real(`10.1.0.${index + 1}`, 80, { forwarding })),
      ),
      ...weights.map((weight, index) => addReal(web, real(`10.2.0.${index + 1}`, 8080 + index, { weight }))),
      add(virtual(at('SCTP', 'fd00:96::2', 99))),
      addReal(at('SCTP', 'fd00:96::2', 99), real('fd00:128:1234:5678:9abc:def0:1:ff', 1)),
    );
    assert.deepEqual(await differences(rate), []);
  });

  test('is complete where one virtual server is longer than a page, and there are many', async () => {
    const rate = await rateOfThisKernel();
    const web = at('TCP', '10.96.0.1', 80);
    const realServers = Array.from({ length: 1_200 }, (_, index) =>
      addReal(web, real(`10.1.${index >> 8}.${index & 255}`, 8080)),
    );
    const others = Array.from({ length: 1_000 }, (_, index) =>
      add(virtual(at('TCP', `10.97.${index >> 8}.${index & 255}`, 80))),
    );
    await apply(add(virtual(web)), ...realServers, ...others);
    assert.deepEqual(await differences(rate), []);
  });

  const persistent = { persistence: { seconds: 60, prefixLength: 24 } };
  const changes: readonly (readonly [string, IpvsOperation])[] = (
    [
      ['the scheduler', { scheduler: 'wrr' }],
      ['ops', { flags: ['ops'] }],
      ['no persistence', { persistence: undefined }],
      ['a longer persistence', { persistence: { seconds: 61, prefixLength: 24 } }],
      ['another netmask', { persistence: { seconds: 60, prefixLength: 25 } }],
    ] as const
  ).map(([name, fields]) => [
    name,
    {
      kind: 'update-virtual-server',
      server: virtual(at('UDP', '10.96.0.1', 53), { ...persistent, ...fields }),
    },
  ]);
  for (const [name, operation] of changes)
    test(`shows that it has ${name}`, async () => {
      const rate = await rateOfThisKernel();
      const server = virtual(at('UDP', '10.96.0.1', 53), persistent);
      await apply(add(server));
      const settings = async (): Promise<FileSettings> =>
        (await readFile()).get(server.key)?.settings ?? assert.fail();
      assert.equal(showsSettings(await settings(), server, rate), true);
      await apply(operation);
      assert.equal(showsSettings(await settings(), server, rate), false);
    });
});

describe('a resync by the file', () => {
  const period = 1_000;
  let daemon: InProcessDaemon;
  /** Runs once, in the middle of the next read of the file. */
  let meanwhile: (() => void) | undefined;
  const many = 600;

  /** As the kernel's, with something between two of its reads. */
  const file: TableFile = () => {
    const opened = procTableFile();
    let reads = 0;
    return {
      read: (buffer, offset) => {
        reads += 1;
        if (reads === 5) {
          meanwhile?.();
          meanwhile = undefined;
        }
        return opened.read(buffer.subarray(0, offset + 512), offset);
      },
      close: () => opened.close(),
    };
  };

  const services = [
    service('web', {
      clusterIPs: ['10.96.0.1', 'fd00:96::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 100 } },
    }),
    ...Array.from({ length: many }, (_, index) =>
      service(`s${index}`, { clusterIP: `10.97.${index >> 8}.${index & 255}` }),
    ),
  ];
  const slices = [
    slice('web', [ready('10.128.0.1'), ready('10.128.0.2')]),
    slice('web', [ready('fd00:128::1')], { family: 'IPv6', suffix: 'v6' }),
    ...Array.from({ length: many }, (_, index) =>
      slice(`s${index}`, [ready(`10.129.${index >> 8}.${index & 255}`)]),
    ),
  ];

  const snapshot = async (): Promise<readonly string[]> => {
    const lines: string[] = [];
    for (const server of await client.virtualServers()) {
      const { scheduler, flags, persistence } = withoutStatistics(server);
      const realServers = (await client.realServers(server.identity))
        .map(toRealServer)
        .map((each) => JSON.stringify(each))
        .toSorted();
      lines.push(
        `${server.key} ${JSON.stringify({ scheduler, flags, persistence })} ${realServers.join(' ')}`,
      );
    }
    return lines.toSorted();
  };

  before(async () => {
    runLine('ip link set lo up');
    daemon = await startInProcessWith({ tableFile: file }, `--ipvs-sync-period=${period}ms`);
    const first = daemon.wired.syncLoop.start();
    daemon.wired.store.replace('services', new Map(services.map((each) => [each.key, each])));
    daemon.wired.store.replace('endpointSlices', new Map(slices.map((each) => [each.key, each])));
    assert.equal((await first).failed, 0);
    await elapse(2 * period);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
  });

  const web = at('TCP', '10.96.0.1', 80);
  const web6 = at('TCP', 'fd00:96::1', 80);
  const s0 = at('TCP', '10.97.0.0', 80);
  const first = real('10.128.0.1', 80);
  const change = (identity: VirtualServerIdentity, fields: Partial<VirtualServer>): IpvsOperation => ({
    kind: 'update-virtual-server',
    server: virtual(identity, fields),
  });
  const affinity = { persistence: { seconds: 100, prefixLength: 32 } };

  /** With how many periods it takes at most: what the file does not show waits for its turn. */
  const drifts: readonly (readonly [name: string, operations: readonly IpvsOperation[], periods: number])[] =
    [
      ['a deleted virtual server', [{ kind: 'delete-virtual-server', server: web }], 1],
      ['a deleted virtual server of IPv6', [{ kind: 'delete-virtual-server', server: web6 }], 1],
      ['another scheduler', [change(web, { ...affinity, scheduler: 'wlc' })], 1],
      ['no persistence', [change(web, {})], 1],
      ['another timeout', [change(web, { persistence: { seconds: 101, prefixLength: 32 } })], 1],
      ['another netmask', [change(web, { persistence: { seconds: 100, prefixLength: 24 } })], 1],
      ['another prefix of IPv6', [change(web6, { persistence: { seconds: 100, prefixLength: 64 } })], 1],
      ['ops', [change(s0, { flags: ['ops'] })], 1],
      ['a deleted real server', [{ kind: 'delete-real-server', of: web, server: first }], 1],
      ['another real server', [addReal(web, real('10.128.0.9', 80))], 1],
      [
        'one real server in place of another',
        [
          { kind: 'delete-real-server', of: s0, server: real('10.129.0.0', 80) },
          addReal(s0, real('10.129.0.1', 80)),
        ],
        1,
      ],
      ['another weight', [{ kind: 'update-real-server', of: web, server: { ...first, weight: 7 } }], 1],
      [
        'another forwarding',
        [{ kind: 'update-real-server', of: web, server: { ...first, forwarding: 'direct' } }],
        1,
      ],
      ['flags that the file does not show', [change(s0, { flags: ['flag-1'] })], Math.ceil(many / 50) + 1],
      [
        'thresholds, which the file does not show',
        [{ kind: 'update-real-server', of: web, server: { ...first, upperThreshold: 9, lowerThreshold: 3 } }],
        Math.ceil(many / 50) + 1,
      ],
    ];
  for (const [name, operations, periods] of drifts)
    test(`repairs ${name}`, async () => {
      const expected = await snapshot();
      const before = daemon.wired.resync.counts;
      await apply(...operations);
      assert.notDeepEqual(await snapshot(), expected);
      await elapse((periods + 1) * period);
      assert.deepEqual(await snapshot(), expected);
      const counts = daemon.wired.resync.counts;
      assert.equal(counts.netlink, before.netlink);
      assert.ok(counts.file > before.file);
    });

  test('sends nothing but what it reads by turns where nothing changed', async () => {
    await elapse(period * 1.5);
    const messages = daemon.messages();
    const before = daemon.wired.resync.counts;
    await elapse(4 * period);
    const rounds = daemon.wired.resync.counts.file - before.file;
    const perRound = (daemon.messages() - messages) / rounds;
    assert.ok(rounds >= 3 && perRound < 200, `${perRound} messages in ${rounds} rounds`);
  });

  const operationCount = (): number =>
    daemon.wired.counters.counts().reduce((sum, { count }) => sum + count, 0);

  test('writes nothing where virtual servers come and go while it reads', async () => {
    const expected = await snapshot();
    const operations = operationCount();
    const others = Array.from({ length: 100 }, (_, index) => `10.98.0.${index}:9`);
    let changes = 0;
    // One that comes before the position of the read moves all that follow: some come twice. One that goes lets some be passed over.
    for (const command of [
      (name: string) => `ipvsadm -A -u ${name} -s rr`,
      (name: string) => `ipvsadm -D -u ${name}`,
    ]) {
      meanwhile = () => {
        for (const name of others) runLine(command(name));
        changes += 1;
      };
      await elapse(2.5 * period);
    }
    assert.equal(changes, 2);
    assert.deepEqual(await snapshot(), expected);
    assert.equal(operationCount(), operations);
  });
});
