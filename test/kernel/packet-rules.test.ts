import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import { families } from '../../src/base/ip.js';
import { tableText } from '../../src/nftables/table-text.js';
import { eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { startInProcess, type InProcessDaemon } from '../support/in-process-daemon.js';
import { local, ready, service, slice } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';

// Our tables on the real kernel, as nft sees them, whatever others do to them.

const count = 300;
const services: readonly Service[] = Array.from({ length: count }, (_, index) =>
  service(`s${index}`, {
    type: 'LoadBalancer',
    clusterIPs: [`10.96.${index >> 8}.${index & 255}`, `fd00:96::${(index + 1).toString(16)}`],
    ipFamilies: ['IPv4', 'IPv6'],
    ports: ['http:80'],
    ingress: [{ ip: `203.0.${index >> 8}.${index & 255}` }],
    loadBalancerSourceRanges: index === 7 ? ['203.0.113.0/24', '198.51.100.0/25'] : [],
  }),
);
const slices: readonly EndpointSlice[] = services.map(({ name }) =>
  slice(name, [local(ready('10.244.0.11')), ready('10.244.1.12')], { ports: ['http:8080'] }),
);

const fill = ({ wired: { store } }: InProcessDaemon): void => {
  store.replace('services', new Map(services.map((value) => [value.key, value])));
  store.replace('endpointSlices', new Map(slices.map((value) => [value.key, value])));
};

/** Without standing in the way of the daemon, which runs in this process. */
const nft = async (command: string): Promise<string> => {
  const { stdout } = await promisify(execFile)('nft', command.split(' '));
  return stdout;
};

/** Our tables as nft prints them, without counters, one element a line, sorted: the kernel keeps no order of sets. */
const ruleset = async (): Promise<string> => {
  const tables = await Promise.all(
    ['ip', 'ip6'].map(async (family) => ({
      family,
      text: await nft(`--stateless list table ${family} kube-ipvs`),
    })),
  );
  return tables
    .flatMap(({ family, text }) =>
      text
        .replaceAll(/,\s+/g, '\n')
        .split('\n')
        .map((line) => `${family} ${line.replace(/elements = \{|\}$/g, '').trim()}`),
    )
    .toSorted()
    .join('\n');
};

/** Lines that one has and the other has not. */
const differences = (a: string, b: string): readonly string[] => {
  const [first, second] = [a.split('\n'), b.split('\n')].map((lines) => new Set(lines));
  return [
    ...[...(first ?? [])].filter((line) => second?.has(line) !== true).map((line) => `- ${line}`),
    ...[...(second ?? [])].filter((line) => first?.has(line) !== true).map((line) => `+ ${line}`),
  ].slice(0, 20);
};

const isWhole = async (): Promise<void> => assert.deepEqual(differences(whole, await ruleset()), []);

const generation = (daemon: InProcessDaemon): Promise<number> => daemon.kernel.nftables.generation();

/** The same as our own client reads it: nft takes longer than the daemon has time for. */
const read = async ({ kernel: { nftables } }: InProcessDaemon): Promise<readonly string[]> => {
  const lines: string[] = [];
  for (const family of families) {
    const table = await nftables.table(family, defaultInstance.table);
    if (table === undefined) return [];
    lines.push(...tableText(table).split('\n'));
    for (const set of table.sets)
      for (const { key } of await nftables.elements(family, defaultInstance.table, set)) lines.push(key);
  }
  return lines.toSorted();
};

let daemon: InProcessDaemon;
let whole: string;
let wholeRead: readonly string[];

const flags = ['--ipvs-sync-period=1h', '--cluster-cidr=10.244.0.0/16'];

const start = async (...more: readonly string[]): Promise<InProcessDaemon> => {
  const started = await startInProcess(...flags, ...more);
  const first = started.wired.syncLoop.start();
  fill(started);
  assert.equal((await first).failed, 0);
  return started;
};

before(async () => {
  daemon = await start();
  whole = await ruleset();
  wholeRead = await read(daemon);
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
});

test('every virtual server and every VIP has its element', async () => {
  const elements = async (family: string, set: string): Promise<string> =>
    nft(`list set ${family} kube-ipvs ${set}`);
  assert.match(await elements('ip', 'cluster-ip'), /10\.96\.1\.43 \. tcp \. 80/);
  assert.match(await elements('ip', 'external'), /203\.0\.0\.7 \. tcp \. 80/);
  assert.match(await elements('ip6', 'no-endpoints'), /fd00:96::12c \. tcp \. 80/);
  assert.equal(whole.match(/ \. tcp \. 80$/gm)?.length, 3 * count + 1);
  assert.match(whole, /203\.0\.0\.7 \. tcp \. 80 \. 203\.0\.113\.0/);
});

test('the same objects again, and a restart, change nothing and send nothing that changes', async () => {
  const then = await generation(daemon);
  fill(daemon);
  await elapse(300);
  assert.equal(await generation(daemon), then);
  await daemon[Symbol.asyncDispose]();
  daemon = await start();
  assert.equal(await generation(daemon), then);
  await isWhole();
});

// What others may do to a table, and each is undone within a second.
for (const [what, command] of [
  ['flush the table', 'flush table ip kube-ipvs'],
  ['delete the table', 'delete table ip6 kube-ipvs'],
  ['flush the whole ruleset', 'flush ruleset'],
  ['flush one chain', 'flush chain ip kube-ipvs masquerade-postrouting'],
  ['add a rule', 'add rule ip kube-ipvs input counter drop'],
  ['insert a rule', 'insert rule ip6 kube-ipvs output accept'],
  ['add a chain', 'add chain ip kube-ipvs foreign'],
  ['add a set', 'add set ip kube-ipvs foreign { type ipv4_addr; }'],
  ['flush a set', 'flush set ip kube-ipvs vips'],
  ['flush another set', 'flush set ip kube-ipvs cluster-ip'],
  ['delete an element', 'delete element ip kube-ipvs cluster-ip { 10.96.0.3 . tcp . 80 }'],
  ['add an element', 'add element ip kube-ipvs vips { 192.0.2.77 }'],
  [
    'move an element elsewhere',
    'delete element ip kube-ipvs cluster-ip { 10.96.0.4 . tcp . 80 }; add element ip kube-ipvs no-endpoints { 10.96.0.4 . tcp . 80 }',
  ],
] as const) {
  test(`others ${what}: repaired within a second`, async () => {
    // Repairs in quick succession are put off more and more; these are meant to come alone.
    await elapse(120_000);
    await nft(command);
    await eventually(async () => assert.deepEqual(await read(daemon), wholeRead), 1_000);
    await isWhole();
  });
}

test('tables of others are left alone, and their changes cost nothing', async () => {
  await nft('add table ip theirs');
  await nft('add chain ip theirs input { type filter hook input priority 5; }');
  const sent = daemon.messages();
  await nft('add rule ip theirs input tcp dport 9 drop');
  await elapse(200);
  assert.equal(daemon.messages(), sent);
  assert.match(await nft('list table ip theirs'), /tcp dport 9 drop/);
});

test('a table of an older version is exchanged in one transaction, its elements with it', async () => {
  await daemon[Symbol.asyncDispose]();
  await nft('add set ip kube-ipvs of-an-older-version { type ipv4_addr; }');
  await nft('add chain ip kube-ipvs older { type filter hook forward priority 7; }');
  const then = await generation(daemon).catch(() => 0);
  daemon = await start();
  await isWhole();
  const steps = (await generation(daemon)) - then;
  assert.ok(then === 0 || steps === 1, `${steps} transactions`);
});

test('other settings give other rules in place, and touch no element', async () => {
  await daemon[Symbol.asyncDispose]();
  daemon = await start('--masquerade-all', '--iptables-masquerade-bit=5');
  const changed = await ruleset();
  assert.match(changed, /meta mark set meta mark \| 0x00000020 comment "masqueradeAll"/);
  await daemon[Symbol.asyncDispose]();
  daemon = await start();
  await isWhole();
});

test('node ports outside of the usual range change the ports of masqueraded connections', async () => {
  const value = service('odd', { type: 'NodePort', clusterIP: '10.96.9.9', ports: ['http:80@60000'] });
  daemon.wired.store.apply([{ kind: 'service', key: value.key, value }]);
  await eventually(async () => assert.match(await ruleset(), /masquerade to :32768-59999/));
  daemon.wired.store.apply([{ kind: 'service', key: value.key, value: undefined }]);
  await eventually(isWhole);
});

test('after a restart all that was ours is known, wherever it stands, and nothing else is touched', async () => {
  runLine('ip link add eth9 type dummy');
  runLine('ip address add 192.0.2.80/24 dev eth9');
  runLine('ip link set eth9 up');
  const foreign = ['-A -t 192.0.2.80:30999 -s wlc', '-a -t 192.0.2.80:30999 -r 192.0.2.81:80 -m -w 1'];
  runLine('ipvsadm -A -t 192.0.2.80:30999 -s wlc');
  runLine('ipvsadm -a -t 192.0.2.80:30999 -r 192.0.2.81:80 -m -w 1');
  const onNodeAddress = (): readonly string[] => savedTable().filter((line) => line.includes('192.0.2.80:'));
  const value = service('exposed', {
    type: 'NodePort',
    clusterIP: '10.96.9.9',
    externalIPs: ['192.0.2.80'],
    ports: ['http:80@45000'],
  });
  daemon.wired.store.apply([{ kind: 'service', key: value.key, value }]);
  await eventually(() =>
    assert.deepEqual(
      onNodeAddress(),
      [...foreign, '-A -t 192.0.2.80:45000 -s rr', '-A -t 192.0.2.80:80 -s rr'].toSorted(),
    ),
  );
  await daemon[Symbol.asyncDispose]();
  daemon = await start();
  assert.deepEqual(onNodeAddress(), foreign.toSorted());
});

test('a process knows what is ours from its start on, whoever deletes our tables and kube-ipvs0 before its first sync', async () => {
  const gone = service('gone', { type: 'NodePort', clusterIP: '10.96.9.8', ports: ['http:80@45001'] });
  daemon.wired.store.apply([{ kind: 'service', key: gone.key, value: gone }]);
  await eventually(() => assert.ok(savedTable().some((line) => line.includes('10.96.9.8:80'))));
  await daemon[Symbol.asyncDispose]();
  daemon = await startInProcess(...flags);
  for (const family of ['ip', 'ip6']) await nft(`delete table ${family} kube-ipvs`);
  runLine('ip link delete kube-ipvs0');
  const first = daemon.wired.syncLoop.start();
  fill(daemon);
  await first;
  await eventually(() =>
    assert.deepEqual(
      savedTable().filter((line) => /10\.96\.9\.8:|:45001 /.test(line)),
      [],
    ),
  );
  await eventually(isWhole);
});
