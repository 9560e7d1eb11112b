// The fake kernel behaves as the real one: the same script gives the same outcomes and dumps on both.
import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { families, type Family } from '../../src/base/ip.js';
import type { NftablesChange } from '../../src/kernel/nftables/changes.js';
import type { AddressOperation, IpvsOperation, Outcome } from '../../src/model/operation.js';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { syncAddresses } from '../../src/model/sync-daemon.js';
import type { RealServer, VirtualServer, VirtualServerIdentity } from '../../src/model/virtual-server.js';
import { Connection } from '../../src/netlink/connection.js';
import { setElement, type SetElement, type TableDeclaration } from '../../src/nftables/declarations.js';
import { FakeKernel } from '../support/fake-kernel/fake-kernel.js';
import { OtherProgram } from '../support/fake-kernel/other-program.js';
import { runLine } from '../support/lab-guest.js';
import { ip } from '../support/objects.js';
import { everything, sampleAddress, serviceElement, services, vips } from '../support/packet-rules.js';
import { at, everyOption, real, virtual } from '../support/virtual-server-entries.js';

runLine('ip link set lo up');

const fake = new FakeKernel();

const onReal = new OtherProgram((protocol) => Connection.open(protocol));
const onFake = new OtherProgram(fake.connectOther);
after(() => onReal[Symbol.dispose]());

/** Gives what the script saw, step by step. */
type Script = (kernel: OtherProgram) => AsyncIterable<unknown>;

const played = async (script: Script, kernel: OtherProgram): Promise<readonly unknown[]> => {
  const seen: unknown[] = [];
  for await (const step of script(kernel)) seen.push(step);
  return seen;
};

/** The texts of kernels differ from version to version: errno names do not. */
const summary = (outcome: Outcome): string => (outcome.status === 'failed' ? outcome.errno : outcome.status);

const errnoOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return (await work) ?? 'nothing';
  } catch (error) {
    return error instanceof Error && 'errno' in error ? error.errno : error;
  }
};

const sameOnBoth = (name: string, script: Script): void => {
  test(name, async () => assert.deepEqual(await played(script, onFake), await played(script, onReal)));
};

// ---- IPVS

const web = at('TCP', '10.0.0.1', 80);
const missing = at('TCP', '10.0.0.99', 80);
const six = at('UDP', 'fd00::1', 53);
const add = (identity: VirtualServerIdentity, fields: Partial<VirtualServer> = {}): IpvsOperation => ({
  kind: 'add-virtual-server',
  server: virtual(identity, fields),
});
const update = (identity: VirtualServerIdentity, fields: Partial<VirtualServer> = {}): IpvsOperation => ({
  kind: 'update-virtual-server',
  server: virtual(identity, fields),
});
const onRealServer = (
  kind: 'add-real-server' | 'update-real-server' | 'delete-real-server',
  of: VirtualServerIdentity,
  server: RealServer,
): IpvsOperation => ({ kind, of, server });

const ipvsOperations: readonly IpvsOperation[] = [
  add(web),
  add(web),
  add(at('TCP', '10.0.0.2', 80), { scheduler: 'nonesuch' }),
  update(web, { scheduler: 'sh', flags: ['sh-fallback'], persistence: { seconds: 600, prefixLength: 24 } }),
  update(web, { scheduler: 'nonesuch' }),
  update(missing),
  { kind: 'delete-virtual-server', server: missing },
  onRealServer('add-real-server', web, real('10.1.0.1', 8080)),
  onRealServer('add-real-server', web, real('10.1.0.1', 8080)),
  onRealServer('add-real-server', web, real('10.1.0.2', 8080, { weight: 0 })),
  onRealServer('add-real-server', web, real('10.1.0.3', 8080, { weight: 0x80000000 })),
  onRealServer('add-real-server', web, real('10.1.0.3', 8080, { upperThreshold: 5, lowerThreshold: 6 })),
  onRealServer('add-real-server', web, real('224.0.0.1', 8080)),
  onRealServer('add-real-server', web, real('0.0.0.0', 8080)),
  onRealServer('add-real-server', web, real('fd00::2', 8080)),
  onRealServer('add-real-server', missing, real('10.1.0.1', 8080)),
  onRealServer('update-real-server', web, real('10.1.0.1', 8080, { weight: 7, upperThreshold: 9 })),
  onRealServer('update-real-server', web, real('10.1.0.9', 8080)),
  onRealServer('update-real-server', web, real('10.1.0.1', 8080, { weight: 0x80000000 })),
  onRealServer('update-real-server', missing, real('10.1.0.9', 8080)),
  onRealServer('delete-real-server', web, real('10.1.0.9', 8080)),
  onRealServer('delete-real-server', missing, real('10.1.0.1', 8080)),
  onRealServer('delete-real-server', web, real('10.1.0.2', 8080)),
  add(six),
  onRealServer('add-real-server', six, real('fd00::2', 53)),
  onRealServer('add-real-server', six, real('ff02::1', 53)),
  onRealServer('add-real-server', six, real('10.1.0.1', 53)),
  { kind: 'delete-virtual-server', server: six },
  { kind: 'delete-virtual-server', server: six },
];

const byKey = <T extends { readonly key: string }>(values: readonly T[]): readonly T[] =>
  values.toSorted((a, b) => (a.key < b.key ? -1 : 1));

const tableOf = async ({ ipvs }: OtherProgram): Promise<unknown> => {
  const table: unknown[] = [];
  for (const server of byKey(await ipvs.virtualServers()))
    table.push(server, byKey(await ipvs.realServers(server.identity)));
  return table;
};

sameOnBoth('what IPVS says to operations, one by one, and what it holds then', async function* (kernel) {
  for (const [index, operation] of ipvsOperations.entries()) {
    const [outcome] = await kernel.ipvs.apply([operation]);
    yield [index, operation.kind, outcome && summary(outcome)];
  }
  yield await tableOf(kernel);
  yield (await kernel.ipvs.virtualServer(web)) ?? 'none';
  yield (await kernel.ipvs.virtualServer(missing)) ?? 'none';
  yield await kernel.ipvs.realServers(missing);
});

sameOnBoth('the operations of one datagram are done each for itself', async function* (kernel) {
  yield (await kernel.ipvs.apply(ipvsOperations)).map(summary);
  yield await tableOf(kernel);
});

sameOnBoth('every option of virtual servers and real servers', async function* (kernel) {
  for (const { server, realServers } of everyOption) {
    yield (await kernel.ipvs.apply([{ kind: 'add-virtual-server', server }])).map(summary);
    for (const one of realServers.values())
      yield (await kernel.ipvs.apply([{ kind: 'add-real-server', of: server.identity, server: one }])).map(
        summary,
      );
  }
  yield await tableOf(kernel);
  for (const { key, identity } of await kernel.ipvs.virtualServers())
    yield [key, ...(await kernel.ipvs.apply([{ kind: 'delete-virtual-server', server: identity }]))].length;
  yield await tableOf(kernel);
});

sameOnBoth('time-outs of IPVS', async function* ({ ipvs }) {
  await ipvs.setTimeouts({ tcpSeconds: 1_000, tcpFinSeconds: 0, udpSeconds: 77 });
  yield await ipvs.timeouts();
  yield await errnoOf(ipvs.setTimeouts({ tcpSeconds: 1 }));
});

for (const command of [
  'link add sync0 type dummy',
  'address add 198.18.0.1/24 dev sync0',
  'link set sync0 up',
])
  runLine(`ip ${command}`);
fake.ipvs.syncDaemons.interfaces.add('sync0');

sameOnBoth('the daemons that synchronize connections', async function* ({ ipvs }) {
  const own = syncAddresses('');
  const master = {
    role: 'master',
    interface: 'sync0',
    syncId: 7,
    address: own.IPv4,
    port: 9000,
    ttl: 3,
  } as const;
  yield await ipvs.syncDaemons();
  yield (await ipvs.startSyncDaemon({ ...master, interface: 'none0' })) ?? 'started';
  yield (await ipvs.startSyncDaemon(master)) ?? 'started';
  yield (await ipvs.startSyncDaemon({ ...master, syncId: 8 })) ?? 'started';
  yield (await ipvs.startSyncDaemon({ ...master, role: 'backup', address: own.IPv6 })) ?? 'started';
  yield await ipvs.syncDaemons();
  for (const role of ['master', 'backup', 'backup'] as const)
    yield (await ipvs.stopSyncDaemon(role)) ?? 'stopped';
  yield await ipvs.syncDaemons();
});

// ---- links, addresses and local routes

const addressLines = async ({ route }: OtherProgram): Promise<unknown> =>
  (await route.addresses())
    .filter(({ interfaceName }) => interfaceName === defaultInstance.dummyInterface)
    .map(({ address, prefixLength }) => `${address}/${prefixLength}`)
    .toSorted();

type OperationOf = (address: string) => AddressOperation;

const operationsOf = (binding: VipBinding) =>
  (['bind-address', 'unbind-address'] as const).map((kind) => (address: string) => ({
    kind,
    address: ip(address),
    binding,
  })) as [OperationOf, OperationOf];

/** Operations that are new, repeated, without an effect, and undone. */
const bindings = (bind: OperationOf, unbind: OperationOf): readonly AddressOperation[] => [
  bind('10.96.0.1'),
  bind('10.96.0.1'),
  bind('fd00::1'),
  bind('fd00::1'),
  unbind('10.96.0.2'),
  unbind('fd00::2'),
  bind('10.96.0.3'),
  unbind('10.96.0.3'),
];

sameOnBoth('links and addresses', async function* (kernel) {
  const { route } = kernel;
  yield (await route.link(defaultInstance.dummyInterface)) ?? 'none';
  yield summary(await route.createDummy(defaultInstance.dummyInterface));
  yield summary(await route.createDummy(defaultInstance.dummyInterface));
  const { index = 0, ...dummy } = (await route.link(defaultInstance.dummyInterface)) ?? {};
  yield dummy;
  const [bind, unbind] = operationsOf('address');
  yield (await route.apply(index, bindings(bind, unbind))).map(summary);
  yield (await route.apply(9_999, [bind('10.96.0.1'), unbind('10.96.0.1'), bind('fd00::1')])).map(summary);
  yield await addressLines(kernel);
  yield summary(await route.deleteLink(index));
  yield summary(await route.deleteLink(index));
  yield await addressLines(kernel);
});

sameOnBoth('local routes', async function* (kernel) {
  const { route } = kernel;
  await route.createDummy(defaultInstance.dummyInterface);
  const index = (await route.link(defaultInstance.dummyInterface))?.index ?? 0;
  const [bind, unbind] = operationsOf('route');
  const [bindAddress, unbindAddress] = operationsOf('address');
  const held = async (): Promise<unknown> => [
    (await route.vipRoutes()).toSorted(),
    await addressLines(kernel),
    await route.foreignLocalRoutes(),
  ];
  yield (await route.apply(index, bindings(bind, unbind))).map(summary);
  yield await held();
  // Each binding stands beside the other, and goes without it.
  yield (
    await route.apply(index, [
      bindAddress('10.96.0.1'),
      bindAddress('fd00::1'),
      bindAddress('10.96.0.4'),
      bind('10.96.0.4'),
      bindAddress('fd00::4'),
      bind('fd00::4'),
    ])
  ).map(summary);
  yield await held();
  // With its last address a device loses the routes through it: ours are not among them.
  yield (await route.apply(index, ['10.96.0.1', '10.96.0.4', 'fd00::4'].map(unbindAddress))).map(summary);
  yield await held();
  yield (await route.apply(index, ['10.96.0.1', 'fd00::1'].map(unbind))).map(summary);
  yield await held();
  yield summary(await route.deleteLink(index));
  yield await held();
  yield (await route.apply(index, [unbind('10.96.0.4'), unbind('fd00::4')])).map(summary);
  yield await held();
});

// ---- nftables

const table = 'kube-ipvs';
const declare = (declaration: TableDeclaration): NftablesChange => ({ kind: 'declare-table', declaration });
const remove = (family: Family): NftablesChange => ({ kind: 'delete-table', family, name: table });
const elements = (
  kind: 'add-elements' | 'delete-elements',
  family: Family,
  set: typeof services,
  ...changed: readonly SetElement[]
): NftablesChange => ({ kind, family, table, set, elements: changed });

for (const family of families) {
  const { declaration } = everything(family);
  const vip = setElement(family, 'vips', [sampleAddress[family]]);
  const [chain = '', otherChain = ''] = declaration.chains
    .filter(({ hook }) => hook === undefined)
    .map(({ name }) => name);
  const service = (port: number, to: string): SetElement =>
    serviceElement(family, [sampleAddress[family], 'TCP', port], to);
  const transactions: readonly (readonly NftablesChange[])[] = [
    [remove(family)],
    [elements('add-elements', family, vips, vip)],
    [declare(declaration)],
    [declare(declaration)],
    [elements('add-elements', family, vips, vip)],
    [elements('add-elements', family, vips, vip)],
    [elements('add-elements', family, services, service(80, chain))],
    [elements('add-elements', family, services, service(80, otherChain))],
    [elements('add-elements', family, services, service(81, 'nonesuch'))],
    [elements('delete-elements', family, services, service(99, chain))],
    [elements('delete-elements', family, vips, vip)],
    [elements('delete-elements', family, vips, vip)],
    [elements('add-elements', family, { ...vips, name: 'nonesuch' }, vip)],
    // All or nothing: the first part would be done.
    [
      elements('add-elements', family, vips, vip),
      elements('delete-elements', family, services, service(99, chain)),
    ],
  ];

  sameOnBoth(`transactions of nftables, ${family}`, async function* ({ nftables }) {
    const held = async (): Promise<unknown> => [
      await nftables.table(family, table),
      ...(await Promise.all(
        [vips, services].map(async (set) =>
          errnoOf(
            nftables
              .elements(family, table, set)
              .then((found) => found.map(({ key, chain: to }) => `${key} ${to}`).toSorted()),
          ),
        ),
      )),
    ];
    for (const [index, changes] of transactions.entries()) {
      const before = await nftables.generation();
      const outcome = await nftables.transaction(changes);
      const generations = (await nftables.generation()) - before;
      yield outcome.status === 'failed'
        ? [index, outcome.errno, outcome.culprit, generations]
        : [index, outcome.status, generations];
      yield await held();
    }
    yield await nftables.check([remove(family)]);
    yield await nftables.supports(family);
    yield await held();
    yield (await nftables.chains()).filter((one) => one.table === table);
    yield await nftables.transaction([remove(family)]);
    yield await held();
  });
}
