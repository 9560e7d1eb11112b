import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deleteAcceptRule } from '../../src/kernel/nftables/foreign/accept-rules.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { deleteForeignChains } from '../../src/kernel/nftables/foreign/foreign-chains.js';
import { Connection } from '../../src/netlink/connection.js';
import { DumpingKernel } from '../support/dumping-kernel.js';

const ENOENT = 2;
const EBUSY = 16;
const EPERM = 1;

const opening = (kernel: DumpingKernel) => () =>
  NftablesClient.open(Connection.open('netfilter', { channel: () => kernel.channel }));

/** What becomes of the deletion of chains that were found before the kernel had those of `after`. */
const deletion = async (after: readonly number[], refusals: readonly number[]) => {
  const kernel = new DumpingKernel({ after });
  kernel.refusals = [...refusals];
  const found = { family: 'ip', table: 'filter', chains: ['KUBE-1', 'KUBE-2'], jumps: [] } as const;
  const reason = await deleteForeignChains(found, (chain) => chain.startsWith('KUBE-'), opening(kernel));
  const last = kernel.channel.datagrams.at(-1) ?? [];
  return { reason, transactions: kernel.transactions, lastMessages: last.length };
};

test('chains are deleted in one transaction', async () => {
  // Begin, two deletions of rules, two of chains, end.
  assert.deepEqual(await deletion([1, 2], []), { reason: undefined, transactions: 1, lastMessages: 6 });
});

test('chains that are gone by themselves are deleted', async () => {
  const { reason, transactions } = await deletion([], [ENOENT]);
  assert.deepEqual([reason, transactions], [undefined, 1]);
});

test('where one of them is gone, and another program has added a jump, what is there now is deleted', async () => {
  // Begin, one deletion of the jump to KUBE-3, one of rules, one of the chain, end.
  assert.deepEqual(await deletion([3], [EBUSY]), { reason: undefined, transactions: 2, lastMessages: 5 });
  assert.deepEqual(await deletion([3], [ENOENT, EBUSY, ENOENT]), {
    reason: undefined,
    transactions: 4,
    lastMessages: 5,
  });
});

test('what the kernel always refuses is left, with its reason', async () => {
  const { reason, transactions } = await deletion(
    [1, 2],
    Array.from({ length: 99 }, () => EPERM),
  );
  assert.match(reason ?? '', /^delete rule \d of chain INPUT of table ip filter: EPERM/);
  assert.equal(transactions, 5);
});

test('our rule that is gone, perhaps with its chain, is deleted', async () => {
  const rule = { family: 'ip', table: 'filter', chain: 'FORWARD', handle: 7n } as const;
  const reasonAfter = async (...refusals: readonly number[]): Promise<string | undefined> => {
    const kernel = new DumpingKernel({ after: [] });
    kernel.refusals = [...refusals];
    return deleteAcceptRule(rule, opening(kernel));
  };
  assert.equal(await reasonAfter(), undefined);
  assert.equal(await reasonAfter(ENOENT), undefined);
  assert.match((await reasonAfter(EPERM)) ?? '', /^delete rule 7 of chain FORWARD of table ip filter: EPERM/);
});
