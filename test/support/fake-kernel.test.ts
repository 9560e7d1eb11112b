// The faults of the fake kernel, as the clients see them. What it does without faults is held against the real kernel in
// test/kernel/fake-kernel.test.ts.
import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import type { IpvsOperation } from '../../src/model/operation.js';
import type { NftablesChange } from '../../src/kernel/nftables/changes.js';
import { setElement } from '../../src/nftables/declarations.js';
import { errnoNumber } from './errnos.js';
import { FakeKernel } from './fake-kernel/fake-kernel.js';
import { OtherProgram } from './fake-kernel/other-program.js';
import { ip } from './objects.js';
import { everything, vips } from './packet-rules.js';
import { at, real, virtual } from './virtual-server-entries.js';

const setUp = () => {
  const kernel = new FakeKernel();
  return {
    kernel,
    other: new OtherProgram(kernel.connectOther),
    ipvs: IpvsClient.open(kernel.connect('generic')),
    route: RtnetlinkClient.open(defaultInstance, kernel.connect('route')),
    nftables: NftablesClient.open(kernel.connect('netfilter')),
  };
};

const added = (port: number): IpvsOperation => ({
  kind: 'add-virtual-server',
  server: virtual(at('TCP', '10.96.0.1', port)),
});
const statuses = async (outcomes: Promise<readonly { readonly status: string }[]>) =>
  (await outcomes).map((outcome) => ('errno' in outcome ? outcome.errno : outcome.status));
const ports = ({ ipvs }: FakeKernel): readonly string[] => ipvs.tables().map(({ server }) => server.key);

test('an errno at the n-th message refuses that one alone', async () => {
  const { kernel, ipvs } = setUp();
  kernel.faults.aim([{ position: 1 }], () => errnoNumber('ENOMEM'));
  assert.deepEqual(await statuses(ipvs.apply([added(1), added(2), added(3)])), [
    'applied',
    'ENOMEM',
    'applied',
  ]);
  assert.deepEqual(ports(kernel), ['TCP 10.96.0.1:1', 'TCP 10.96.0.1:3']);
});

test('in a transaction it refuses all', async () => {
  const { kernel, nftables } = setUp();
  const { declaration } = everything('IPv4');
  kernel.faults.aim([{ position: 2 }], () => errnoNumber('ENOMEM'));
  const outcome = await nftables.transaction([{ kind: 'declare-table', declaration }]);
  assert.ok(outcome.status === 'failed' && outcome.errno === 'ENOMEM' && outcome.culprit === 0);
  assert.deepEqual([...kernel.nftables.tables()], []);
});

test('if the answers are lost, the operations are done and their outcomes are unknown', async () => {
  const { kernel, ipvs } = setUp();
  kernel.faults.aim([{ position: 0 }], () => 'lost');
  assert.deepEqual(await statuses(ipvs.apply([added(1), added(2)])), ['unknown', 'unknown']);
  assert.equal(ports(kernel).length, 2);
});

test('a dead socket is opened anew, and what it did not take is sent again', async () => {
  const { kernel, ipvs } = setUp();
  let reopened = 0;
  ipvs.onReopened(() => (reopened += 1));
  kernel.faults.aim([{ position: 0 }], () => 'dead');
  assert.deepEqual(await statuses(ipvs.apply([added(1)])), ['applied']);
  assert.equal(reopened, 1);
});

test('a change between two parts of a dump interrupts it: the second pass has it', async () => {
  const { kernel, route, other } = setUp();
  for (let host = 1; host <= 100; host += 1) kernel.route.addAddress(`eth0 192.0.2.${host}/24`);
  let parts = 0;
  kernel.faults.meanwhile = (kind, when) => {
    if (kind !== 'route 22 dump' || when !== 'received') return;
    parts += 1;
    if (parts === 2) kernel.route.removeAddress('eth0 192.0.2.1/24');
  };
  const found = await route.addresses();
  assert.ok(parts > 4);
  assert.equal(found.length, 99);
  assert.equal(kernel.received.filter(({ kind }) => kind === 'route 22 dump').length, 2);
  assert.equal((await other.route.addresses()).length, 99);
});

test('IPVS marks no dump: what comes or goes meanwhile may be missing', async () => {
  const { kernel, ipvs, other } = setUp();
  await ipvs.apply(Array.from({ length: 60 }, (_, index) => added(index + 1)));
  let parts = 0;
  kernel.faults.meanwhile = (kind, when) => {
    if (kind !== 'ipvs 4 dump' || when !== 'received') return;
    parts += 1;
    if (parts === 1)
      void other.ipvs.apply([{ kind: 'delete-virtual-server', server: at('TCP', '10.96.0.1', 1) }]);
  };
  const found = await ipvs.virtualServers();
  assert.equal(kernel.received.filter(({ kind }) => kind === 'ipvs 4 dump').length, 1);
  const keys = found.map(({ key }): string => key);
  assert.ok(keys.includes('TCP 10.96.0.1:1'), 'told before it went');
  assert.equal(
    ports(kernel).filter((key) => !keys.includes(key)).length,
    1,
    'passed over, though it was there',
  );
});

test('a transaction is refused as a whole, with the change at fault', async () => {
  const { kernel, nftables, other } = setUp();
  const { declaration } = everything('IPv4');
  const element = setElement('IPv4', 'vips', [ip('10.96.0.1')]);
  const change = (kind: 'add-elements' | 'delete-elements'): NftablesChange => ({
    kind,
    family: 'IPv4',
    table: declaration.name,
    set: vips,
    elements: [element],
  });
  await other.changeRules({ kind: 'declare-table', declaration }, change('add-elements'));
  const outcome = await nftables.transaction([change('delete-elements'), change('delete-elements')]);
  assert.ok(outcome.status === 'failed' && outcome.errno === 'ENOENT' && outcome.culprit === 1);
  assert.equal([...kernel.nftables.elementsOf(declaration.name)].length, 1);
});

test('notifications are delivered, told as lost, or not heard of', async () => {
  const { kernel, other } = setUp();
  const heard: string[] = [];
  kernel.listen({
    protocol: 'route',
    groups: [1],
    ignoredPortId: () => 0,
    message: ({ type }) => void heard.push(`message ${type}`),
    lost: () => void heard.push('lost'),
  });
  for (const how of ['delivered', 'lost', 'unseen'] as const) {
    kernel.notifications = how;
    await other.route.createDummy(`dummy-${how}`);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(heard, ['message 16', 'lost']);
});

test('each change is told before it is made, in the words of plans', async () => {
  const { kernel, other } = setUp();
  const before: number[] = [];
  kernel.beforeChange = () => void before.push(ports(kernel).length);
  await other.apply(added(80), {
    kind: 'add-real-server',
    of: at('TCP', '10.96.0.1', 80),
    server: real('10.1.0.1', 8080),
  });
  assert.deepEqual(before, [0, 1]);
  assert.deepEqual(kernel.changes, [
    '+ virtual server TCP 10.96.0.1:80 rr',
    '+ real server TCP 10.96.0.1:80 → 10.1.0.1:8080 masquerade weight 1',
  ]);
});
