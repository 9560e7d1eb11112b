import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import { deleteForeignChains, foreignChains } from '../../src/kernel/nftables/foreign/foreign-chains.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { Connection } from '../../src/netlink/connection.js';
import { SocketFaults } from '../support/faulty-channel.js';
import { run } from '../support/lab-guest.js';

// Another program changes nftables while we read it: the kernel says so, and each dump begins again.

const faults = new SocketFaults();
const open = (): NftablesClient =>
  NftablesClient.open(Connection.open('netfilter', { channel: () => faults.channel('netfilter') }));
const isOfKubeProxy = (chain: string): boolean => chain.startsWith('KUBE-');

const chainsDump = 'netfilter 2564 dump';
const rulesDump = 'netfilter 2567 dump';
const batchBegin = 'netfilter 16';

/** Enough for several datagrams of each dump: of 32 KiB each, one of which the kernel has ready when another one is received. */
const names = Array.from({ length: 1_500 }, (_, index) => `KUBE-SVC-${index}`);
const entered = names.slice(0, 700);

beforeEach(() => {
  faults.meanwhile = () => {};
  const chains = names.map((name) => `add chain ip nat ${name}`);
  const rules = entered.map((name) => `add rule ip nat PREROUTING jump ${name}`);
  const base = 'add chain ip nat PREROUTING { type nat hook prerouting priority -100; }';
  writeFileSync(
    '/tmp/rules.nft',
    ['flush ruleset', 'add table ip nat', base, ...chains, ...rules, ''].join('\n'),
  );
  run('nft', '-f', '/tmp/rules.nft');
});

/** Changes the kernel once in each dump of the kind, after its first datagram; gives how many dumps of the kind were begun. */
const changingIn = (kind: string, changes: readonly string[]): (() => number) => {
  const left = [...changes];
  let dumps = 0;
  let isFirstPart = false;
  faults.meanwhile = (seen, when) => {
    if (seen !== kind) return;
    if (when === 'sent') {
      dumps += 1;
      isFirstPart = true;
    }
    if (when !== 'received' || !isFirstPart) return;
    isFirstPart = false;
    const change = left.shift();
    if (change !== undefined) run('nft', ...change.split(' '));
  };
  return () => dumps;
};

for (const [kind, what] of [
  [chainsDump, 'chains'],
  [rulesDump, 'rules'],
] as const)
  test(`chains of kube-proxy and the jumps to them are found once, though ${what} change while they are listed`, async () => {
    const dumps = changingIn(kind, [
      'add chain ip nat others',
      'add rule ip nat others counter accept',
      'add chain ip nat KUBE-LATE',
    ]);
    const [place, ...others] = await foreignChains(isOfKubeProxy, open);
    assert.deepEqual(others, []);
    assert.equal(dumps(), 4);
    const late = kind === chainsDump ? ['KUBE-LATE'] : [];
    assert.deepEqual(place?.chains.toSorted(), [...names, ...late].toSorted());
    assert.equal(place?.jumps.length, entered.length);
    assert.equal(new Set(place?.jumps.map(({ handle }) => handle)).size, entered.length);
  });

test('a table is read with each of its rules once', async () => {
  const client = open();
  const before = await client.table('IPv4', 'nat');
  assert.equal(before?.chains.length, names.length + 1);
  const dumps = changingIn(rulesDump, ['add table ip other', 'add chain ip other c']);
  assert.deepEqual(await client.table('IPv4', 'nat'), before);
  // Each pass that was interrupted, and one more after it, for the generation is another one then.
  assert.ok(dumps() >= 3, `${dumps()} dumps`);
  client.close();
});

test('chains that another program deletes just before us are no failure, and the others go', async () => {
  const [place] = await foreignChains(isOfKubeProxy, open);
  assert.ok(place !== undefined);
  const changes = ['flush chain ip nat PREROUTING', 'delete chain ip nat KUBE-SVC-7'];
  faults.meanwhile = (kind, when) => {
    if (kind !== batchBegin || when !== 'sending') return;
    const change = changes.shift();
    if (change !== undefined) run('nft', ...change.split(' '));
  };
  assert.equal(await deleteForeignChains(place, isOfKubeProxy, open), undefined);
  assert.deepEqual(changes, []);
  assert.equal(run('nft', 'list', 'chains').match(/KUBE-/g), null);
});
