// lab: -K initcall_blacklist=nf_tables_module_init
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { families } from '../../src/base/ip.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { everything } from '../support/packet-rules.js';

const client = NftablesClient.open();

for (const family of families)
  test(`a kernel without nftables does not support ${family}, and an attempt says why it fails`, async () => {
    assert.equal(await client.supports(family), false);
    const outcome = await client.transaction([
      { kind: 'declare-table', declaration: everything(family).declaration },
    ]);
    assert.ok(outcome.status === 'failed');
    assert.deepEqual([outcome.errno, outcome.culprit], ['EOPNOTSUPP', undefined]);
    assert.match(outcome.message, /: the kernel has no nftables, or not for this family$/);
  });
