import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { families, type Family, type IpAddress } from '../../src/base/ip.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import type { TransactionOutcome } from '../../src/kernel/nftables/transaction-outcome.js';
import type { NftablesChange } from '../../src/kernel/nftables/changes.js';
import {
  setElement,
  type Chain,
  type SetElement,
  type TableDeclaration,
} from '../../src/nftables/declarations.js';
import { ruleText, tableText } from '../../src/nftables/table-text.js';
import { run } from '../support/lab-guest.js';
import { everything, sampleAddress, serviceElement, services, vips } from '../support/packet-rules.js';

const client = NftablesClient.open();
const table = 'kube-ipvs';
const word = (family: Family): string => (family === 'IPv4' ? 'ip' : 'ip6');
const nft = (...args: readonly string[]): string => run('nft', ...args);
const ruleset = (): string => nft('list', 'ruleset');

const declare = (declaration: TableDeclaration): NftablesChange => ({ kind: 'declare-table', declaration });
const remove = (family: Family, name = table): NftablesChange => ({ kind: 'delete-table', family, name });
const change =
  (kind: 'add-elements' | 'delete-elements') =>
  (family: Family, ...elements: readonly SetElement[]): NftablesChange => ({
    kind,
    family,
    table,
    set: elements[0]?.set === 'vips' ? vips : services,
    elements,
  });
const add = change('add-elements');
const drop = change('delete-elements');
const vip = (family: Family): SetElement => setElement(family, 'vips', [sampleAddress[family]]);

const applied = async (...changes: readonly NftablesChange[]): Promise<void> =>
  assert.deepEqual(await client.transaction(changes), { status: 'applied' });
const refused = async (
  ...changes: readonly NftablesChange[]
): Promise<Extract<TransactionOutcome, { status: 'failed' }>> => {
  const outcome = await client.transaction(changes);
  assert.ok(outcome.status === 'failed', JSON.stringify(outcome));
  return outcome;
};
const declared = async (family: Family): Promise<TableDeclaration> => {
  const { declaration } = everything(family);
  await applied(declare(declaration));
  return declaration;
};
const keys = async (family: Family): Promise<readonly string[]> =>
  (await client.elements(family, table, services))
    .map(({ fields, chain }) => `${fields.join(' ')} ${chain}`)
    .toSorted();
const textsOf = (family: Family, chain: Chain | undefined): readonly string[] =>
  (chain?.rules ?? []).map((rule) => ruleText(family, rule));

afterEach(() => {
  nft('flush', 'ruleset');
});

for (const family of families)
  describe(`a table with every expression, ${family}`, () => {
    test('is read back as it was declared', async () => {
      const { declaration, words } = everything(family);
      await applied(declare(declaration));
      const read = await client.table(family, table);
      assert.deepEqual(read?.sets, declaration.sets);
      assert.deepEqual(
        read.chains.map(({ name, hook }) => [name, hook]),
        declaration.chains.map(({ name, hook }) => [name, hook]),
      );
      for (const chain of declaration.chains) {
        assert.deepEqual(textsOf(family, chain), words.get(chain.name));
        assert.deepEqual(
          textsOf(
            family,
            read.chains.find(({ name }) => name === chain.name),
          ),
          words.get(chain.name),
        );
      }
    });

    test('is printed by nft in the words that we use', async () => {
      const declaration = await declared(family);
      await applied(add(family, serviceElement(family, [sampleAddress[family], 'TCP', 80])));
      const elements = new Map([['services', await client.elements(family, table, services)]]);
      /** nft leaves out what is the default, calls well-known priorities by name, and knows the names of interfaces. */
      const inOurWords = nft('list', 'table', word(family), table)
        .replace(
          /^\t\treject(?= comment)/gm,
          `\t\treject with icmp${family === 'IPv4' ? '' : 'v6'} port-unreachable`,
        )
        .replace('priority filter - 10', 'priority -10')
        .replace('priority dstnat - 5', 'priority -105')
        .replace('priority srcnat - 5', 'priority 95')
        .replaceAll('if "lo"', 'if 1')
        .replaceAll('if != "lo"', 'if != 1');
      assert.equal(inOurWords, tableText(declaration, elements));
    });

    test('declared again stays as it is, rules are not doubled, elements stay', async () => {
      const declaration = await declared(family);
      await applied(add(family, serviceElement(family, [sampleAddress[family], 'UDP', 53])));
      const before = ruleset();
      await applied(declare(declaration));
      assert.equal(ruleset(), before);
    });

    test('elements: added, added again, changed, deleted', async () => {
      await declared(family);
      const address = sampleAddress[family];
      const tcp = serviceElement(family, [address, 'TCP', 80]);
      const sctp = serviceElement(family, [address, 'SCTP', 65535], 'refuse');
      await applied(add(family, tcp, sctp), add(family, vip(family)));
      await applied(add(family, tcp), add(family, vip(family)));
      assert.deepEqual(await keys(family), [`${address} SCTP 65535 refuse`, `${address} TCP 80 cluster-ip`]);
      const changed = { ...tcp, chain: 'refuse' };
      const clash = await refused(add(family, changed));
      assert.equal(clash.errno, 'EEXIST');
      assert.match(clash.message, new RegExp(`^add element ${address} . TCP . 80 to set services of table`));
      assert.match(clash.message, /an element is there with another verdict$/);
      await applied(drop(family, tcp), add(family, changed));
      assert.deepEqual(await keys(family), [`${address} SCTP 65535 refuse`, `${address} TCP 80 refuse`]);
      await applied(drop(family, changed, sctp), drop(family, vip(family)));
      assert.deepEqual(await keys(family), []);
      assert.deepEqual(await client.elements(family, table, vips), []);
    });
  });

describe('tables that others changed', () => {
  const read = async (): Promise<TableDeclaration> => {
    const found = await client.table('IPv4', table);
    assert.ok(found !== undefined);
    return found;
  };
  const textsAfter = async (...rules: readonly string[]): Promise<readonly string[]> => {
    nft('add', 'table', 'ip', table);
    nft('add', 'chain', 'ip', table, 'mine');
    for (const rule of rules) nft('add', 'rule', 'ip', table, 'mine', rule);
    return textsOf('IPv4', (await read()).chains[0]);
  };

  test('expressions that we do not know have texts, which tell them apart', async () => {
    const texts = await textsAfter(
      'limit rate 3/second accept',
      'limit rate 4/second accept',
      'log prefix "a"',
      'log prefix "b"',
      'meta mark set meta mark << 1',
      'meta mark set meta mark << 2',
      'ct original packets > 7',
    );
    assert.deepEqual(new Set(texts).size, texts.length, texts.join('\n'));
    assert.match(texts[0] ?? '', /^\[ limit \{.*\} \] accept$/);
  });

  test('rules that we know have nft’s words', async () => {
    const rules = [
      'ip saddr 10.0.0.0/20 accept',
      'ip saddr != 10.1.2.3 drop',
      'ct state established,related accept',
      'ct status dnat return',
      'ip daddr 10.0.0.1 meta l4proto udp th dport 53 counter packets 3 bytes 180 jump mine2',
      'iifname "eth*" oifname "lo" drop',
      'meta mark set 0x00000005',
    ];
    nft('add', 'table', 'ip', table);
    nft('add', 'chain', 'ip', table, 'mine2');
    nft('add', 'chain', 'ip', table, 'mine');
    for (const rule of rules) nft('add', 'rule', 'ip', table, 'mine', rule);
    const chain = (await read()).chains.find(({ name }) => name === 'mine');
    assert.deepEqual(textsOf('IPv4', chain), rules);
    assert.match(
      ruleText('IPv4', chain?.rules[4] ?? assert.fail(), { counters: false }),
      / counter jump mine2$/,
    );
  });

  test('a dormant table has no hooks, so it differs from the declared one', async () => {
    await declared('IPv4');
    nft('add', 'table', 'ip', table, '{ flags dormant; }');
    assert.deepEqual(
      (await read()).chains.map(({ hook }) => hook),
      everything('IPv4').declaration.chains.map(() => undefined),
    );
  });

  test('sets that we could not have declared are left out', async () => {
    nft('add', 'table', 'ip', table);
    for (const [name, what] of [
      ['a', 'type ifname;'],
      ['b', 'type ipv4_addr; flags interval;'],
      ['c', 'type ipv4_addr; timeout 1h;'],
    ] as const)
      nft('add', 'set', 'ip', table, name, `{ ${what} }`);
    nft('add', 'map', 'ip', table, 'd', '{ type ipv4_addr : ipv4_addr; }');
    nft('add', 'set', 'ip', table, 'vips', '{ type ipv4_addr; }');
    assert.deepEqual((await read()).sets, [{ ...vips, comment: '' }]);
  });

  test('a table that does not exist is undefined; elements of none are ENOENT', async () => {
    assert.equal(await client.table('IPv4', 'nosuch'), undefined);
    await assert.rejects(client.elements('IPv4', 'nosuch', vips), { errno: 'ENOENT' });
  });
});

describe('transactions', () => {
  const missing = serviceElement('IPv4', ['192.0.2.9' as IpAddress, 'TCP', 9]);
  const tcp = serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', 80]);

  test('one bad change: nothing is done, and the change and its element are named', async () => {
    await declared('IPv4');
    await declared('IPv6');
    const before = ruleset();
    const generation = await client.generation();
    const outcome = await refused(
      add('IPv4', tcp),
      add('IPv6', vip('IPv6')),
      drop('IPv4', tcp, missing),
      remove('IPv6'),
    );
    assert.deepEqual([outcome.errno, outcome.culprit], ['ENOENT', 2]);
    assert.equal(
      outcome.message,
      'delete 2 elements 10.96.0.10 . TCP . 80 to 192.0.2.9 . TCP . 9 from set services of table ip kube-ipvs: ' +
        'ENOENT (no such file or directory), at element 192.0.2.9 . TCP . 9: there is no such set, or an element is not in it',
    );
    assert.equal(ruleset(), before);
    assert.equal(await client.generation(), generation);
  });

  test('a table is replaced by one transaction; its elements are gone', async () => {
    const declaration = await declared('IPv4');
    await applied(add('IPv4', tcp));
    await applied(remove('IPv4'), declare({ ...declaration, chains: declaration.chains.slice(0, 2) }));
    assert.deepEqual(await keys('IPv4'), []);
    assert.equal((await client.table('IPv4', table))?.chains.length, 2);
  });

  test('what fails is named: table, set, chain, rule', async () => {
    const { declaration } = everything('IPv4');
    const gone = await refused(remove('IPv4'));
    assert.match(gone.message, /^delete table ip kube-ipvs: ENOENT .*there is no such table$/);

    await applied(declare(declaration));
    const lookup: Chain = {
      name: 'looks',
      hook: undefined,
      rules: [
        { comment: undefined, expressions: [{ kind: 'counter', packets: 0n, bytes: 0n }] },
        {
          comment: 'its comment',
          expressions: [
            { kind: 'meta', key: 'l4proto', to: 0 },
            { kind: 'lookup', set: 'nosuch', from: 0 },
          ],
        },
      ],
    };
    const rule = await refused(
      add('IPv4', tcp),
      declare({ ...declaration, chains: [...declaration.chains, lookup] }),
    );
    assert.match(rule.message, /^declare rule 2 "its comment" of chain looks of table ip kube-ipvs: ENOENT/);
    assert.match(rule.message, /, at expressions\.1: it refers to a set or chain that does not exist/);
    assert.equal(rule.culprit, 1);

    const moved = declaration.chains.map((chain) =>
      chain.name === 'input' && chain.hook !== undefined
        ? { ...chain, hook: { ...chain.hook, priority: 7 } }
        : chain,
    );
    const chain = await refused(declare({ ...declaration, chains: moved }));
    assert.match(
      chain.message,
      /^declare chain input of table ip kube-ipvs: (EEXIST|EOPNOTSUPP) .*: there is a chain of that name with another type, hook or priority$/,
    );
  });

  test('values that fit no attribute fail before they are sent, as EDOM', async () => {
    await declared('IPv4');
    const outcome = await refused(
      add('IPv4', tcp),
      add('IPv4', serviceElement('IPv4', [sampleAddress.IPv6, 'TCP', 80])),
    );
    assert.deepEqual([outcome.errno, outcome.culprit], ['EDOM', 1]);
    assert.match(
      outcome.message,
      /^add element fd00:96::10 . TCP . 80 to .*: fd00:96::10 is not an IPv4 address$/,
    );
  });

  test('nothing is nothing; no elements are none', async () => {
    await applied();
    await applied({ kind: 'add-elements', family: 'IPv4', table, set: vips, elements: [] });
  });

  test('every transaction raises the generation', async () => {
    const before = await client.generation();
    await declared('IPv4');
    assert.ok((await client.generation()) > before);
  });

  test('check tells what would happen, and does nothing', async () => {
    const { declaration } = everything('IPv4');
    const before = await client.generation();
    assert.deepEqual(await client.check([declare(declaration)]), { status: 'applied' });
    assert.equal((await client.check([remove('IPv4')])).status, 'failed');
    assert.deepEqual([ruleset(), await client.generation()], ['', before]);
  });

  test('both families are supported; asking leaves nothing', async () => {
    const before = await client.generation();
    assert.deepEqual([await client.supports('IPv4'), await client.supports('IPv6')], [true, true]);
    assert.deepEqual([ruleset(), await client.generation()], ['', before]);
  });
});

test('base chains of all tables', async () => {
  nft('add', 'table', 'inet', 'firewall');
  nft('add', 'chain', 'inet', 'firewall', 'ward', '{ type filter hook forward priority 0; policy drop; }');
  nft('add', 'chain', 'inet', 'firewall', 'plain');
  // As iptables-nft names them.
  nft('add', 'table', 'ip', 'filter');
  nft('add', 'chain', 'ip', 'filter', 'FORWARD', '{ type filter hook forward priority 0; policy drop; }');
  nft('add', 'table', 'ip6', 'mangle');
  nft('add', 'chain', 'ip6', 'mangle', 'OUTPUT', '{ type route hook output priority -150; }');
  nft('add', 'table', 'netdev', 'early');
  nft('add', 'chain', 'netdev', 'early', 'in', '{ type filter hook ingress device lo priority 0; }');
  nft('add', 'table', 'inet', 'early');
  nft('add', 'chain', 'inet', 'early', 'in', '{ type filter hook ingress device lo priority 0; }');
  nft('add', 'table', 'bridge', 'b');
  nft('add', 'chain', 'bridge', 'b', 'ward', '{ type filter hook forward priority 0; }');
  const drop = { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' };
  assert.deepEqual(
    (await client.chains())
      .filter(({ hook }) => hook !== undefined)
      .toSorted((one, other) => (one.family < other.family ? -1 : 1)),
    [
      { family: 'inet', table: 'firewall', chain: 'ward', hook: drop },
      { family: 'ip', table: 'filter', chain: 'FORWARD', hook: drop },
      {
        family: 'ip6',
        table: 'mangle',
        chain: 'OUTPUT',
        hook: { type: 'route', hook: 'output', priority: -150, policy: 'accept' },
      },
    ],
  );
});
