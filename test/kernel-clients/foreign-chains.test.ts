import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deleteAcceptRule } from '../../src/kernel/nftables/accept-rules.js';
import { deleteForeignChains } from '../../src/kernel/nftables/foreign-chains.js';
import { Connection } from '../../src/netlink/connection.js';
import { DumpingKernel } from '../support/dumping-kernel.js';

const ENOENT = 2;
const EBUSY = 16;
const EPERM = 1;

const opening = (kernel: DumpingKernel) => () =>
  Connection.open('netfilter', { channel: () => kernel.channel });

/** What becomes of the deletion of chains that were found before the kernel had those of `after`. */
const deletion = (after: readonly number[], refusals: readonly number[]) => {
  const kernel = new DumpingKernel({ after });
  kernel.refusals = [...refusals];
  const found = { family: 'ip', table: 'filter', chains: ['KUBE-1', 'KUBE-2'], jumps: [] } as const;
  const reason = deleteForeignChains(found, (chain) => chain.startsWith('KUBE-'), opening(kernel));
  const last = kernel.channel.datagrams.at(-1) ?? [];
  return { reason, transactions: kernel.transactions, lastMessages: last.length };
};

test('chains are deleted in one transaction', () => {
  // Begin, two deletions of rules, two of chains, end.
  assert.deepEqual(deletion([1, 2], []), { reason: undefined, transactions: 1, lastMessages: 6 });
});

test('chains that are gone by themselves are deleted', () => {
  const { reason, transactions } = deletion([], [ENOENT]);
  assert.deepEqual([reason, transactions], [undefined, 1]);
});

test('where one of them is gone, and another program has added a jump, what is there now is deleted', () => {
  // Begin, one deletion of the jump to KUBE-3, one of rules, one of the chain, end.
  assert.deepEqual(deletion([3], [EBUSY]), { reason: undefined, transactions: 2, lastMessages: 5 });
  assert.deepEqual(deletion([3], [ENOENT, EBUSY, ENOENT]), {
    reason: undefined,
    transactions: 4,
    lastMessages: 5,
  });
});

test('what the kernel always refuses is left, with its reason', () => {
  const { reason, transactions } = deletion(
    [1, 2],
    Array.from({ length: 99 }, () => EPERM),
  );
  assert.match(reason ?? '', /^delete rules of chain INPUT of table ip filter: EPERM/);
  assert.equal(transactions, 5);
});

test('our rule that is gone, perhaps with its chain, is deleted', () => {
  const rule = { family: 'ip', table: 'filter', chain: 'FORWARD', handle: 7n } as const;
  const reasonAfter = (...refusals: readonly number[]): string | undefined => {
    const kernel = new DumpingKernel({ after: [] });
    kernel.refusals = [...refusals];
    return deleteAcceptRule(rule, opening(kernel));
  };
  assert.equal(reasonAfter(), undefined);
  assert.equal(reasonAfter(ENOENT), undefined);
  assert.match(reasonAfter(EPERM) ?? '', /^delete our rule of chain FORWARD of table ip filter: EPERM/);
});
