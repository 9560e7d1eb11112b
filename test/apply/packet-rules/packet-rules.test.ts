import { defaultInstance } from '../../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketRules } from '../../../src/apply/packet-rules/packet-rules.js';
import type { PacketRulesClient } from '../../../src/apply/packet-rules/packet-rules-client.js';
import type { Family } from '../../../src/base/ip.js';
import type { TransactionOutcome } from '../../../src/kernel/nftables/transaction-outcome.js';
import type { NftablesChange } from '../../../src/kernel/nftables/changes.js';
import {
  setElement,
  type ElementKey,
  type SetElement,
  type TableDeclaration,
} from '../../../src/nftables/declarations.js';
import type { ElementOperation } from '../../../src/model/operation.js';
import { NetlinkError } from '../../../src/netlink/errors.js';
import { packetTable } from '../../../src/plan/packet-rules/packet-table.js';
import { setDeclaration } from '../../../src/plan/packet-rules/packet-sets.js';
import { packetClassElement } from '../../../src/plan/packet-rules/packet-elements.js';
import { ip } from '../../support/objects.js';
import { RecordingLog } from '../../support/recording-log.js';

/** Tables in memory, to test the handling of the kernel's replies; test/kernel proves the replies themselves. */
class Tables implements PacketRulesClient {
  readonly declared = new Map<Family, TableDeclaration>();
  readonly held = new Map<ElementKey, SetElement>();
  readonly transactions: (readonly NftablesChange[])[] = [];
  /** The errno for changes that the kernel rejects. */
  fault: (change: NftablesChange) => string | undefined = () => undefined;
  /** Whether elements cannot be read. */
  unreadable = false;
  /** Undefined: it cannot be read. */
  currentGeneration: number | undefined = 1;
  /** How many tables were read. */
  reads = 0;

  async generation(): Promise<number> {
    if (this.currentGeneration === undefined) throw new NetlinkError('read the generation', 12);
    return this.currentGeneration;
  }

  async table(family: Family): Promise<TableDeclaration | undefined> {
    this.reads += 1;
    return this.declared.get(family);
  }

  async elements(family: Family, _table: string, { name }: { name: string }): Promise<readonly SetElement[]> {
    if (this.unreadable) throw new NetlinkError('list the elements', 12);
    return [...this.held.values()].filter((element) => element.family === family && element.set === name);
  }

  async transaction(changes: readonly NftablesChange[]): Promise<TransactionOutcome> {
    this.transactions.push(changes);
    for (const [culprit, change] of changes.entries()) {
      const errno = this.fault(change) ?? this.#missing(change, changes);
      if (errno !== undefined) return { status: 'failed', errno, message: errno, culprit };
    }
    for (const change of changes) this.#do(change);
    if (this.currentGeneration !== undefined) this.currentGeneration += 1;
    return { status: 'applied' };
  }

  #missing(change: NftablesChange, among: readonly NftablesChange[]): string | undefined {
    const isThere =
      change.kind === 'declare-table' ||
      ('family' in change && this.declared.has(change.family)) ||
      among.some(({ kind }) => kind === 'declare-table');
    return isThere ? undefined : 'ENOENT';
  }

  #do(change: NftablesChange): void {
    if (change.kind === 'declare-table') this.declared.set(change.declaration.family, change.declaration);
    if (change.kind === 'add-elements')
      for (const element of change.elements) this.held.set(element.key, element);
    if (change.kind === 'delete-elements') for (const { key } of change.elements) this.held.delete(key);
    if (change.kind === 'delete-table') {
      this.declared.delete(change.family);
      for (const { key, family } of this.held.values()) if (family === change.family) this.held.delete(key);
    }
  }
}

const setUp = ({ held = [] }: { held?: readonly SetElement[] } = {}) => {
  const tables = new Tables();
  const log = new RecordingLog();
  const doubts: number[] = [];
  const happenings: string[] = [];
  const rules = new PacketRules({
    client: tables,
    table: defaultInstance.table,
    families: ['IPv4'],
    declaration: (family, { sourceLengths }) =>
      packetTable({
        family,
        table: defaultInstance.table,
        masqueradeAll: false,
        vipBinding: 'address',
        masqueradeMark: 0x4000,
        podTraffic: undefined,
        masqueradePorts: [{ first: 32_768, last: 65_535 }],
        refusesBeforeRouting: true,
        sourceLengths,
      }),
    initialElements: () => held,
    onUntrusted: () => void doubts.push(tables.transactions.length),
    onEvent: (what, family) => void happenings.push(`${what} ${family}`),
    log,
  });
  return { tables, log, doubts, happenings, rules };
};

const vip = (last: number): SetElement => setElement('IPv4', 'vips', [`10.96.0.${last}`] as never);
const adding = (elements: readonly SetElement[]): readonly ElementOperation[] =>
  elements.map((element) => ({ kind: 'add-element', element }));
const statuses = (outcomes: readonly { status: string }[]): string =>
  outcomes.map(({ status }) => status).join(' ');

test('rules are declared once; after that each call sends only its elements, in one transaction', async () => {
  const { tables, rules } = setUp();
  assert.equal(await rules.declare(), true);
  assert.equal(await rules.declare(), true);
  assert.equal(statuses(await rules.apply(adding([vip(1), vip(2)]))), 'applied applied');
  assert.deepEqual(
    tables.transactions.map((changes) => changes.map(({ kind }) => kind)),
    [['declare-table'], ['add-elements']],
  );
});

test('additions and deletions share one transaction', async () => {
  const { tables, rules } = setUp();
  await rules.declare();
  await rules.apply([...adding([vip(1)]), { kind: 'delete-element', element: vip(2) }]);
  assert.deepEqual(
    tables.transactions.at(-1)?.map(({ kind }) => kind),
    ['delete-elements', 'add-elements'],
  );
});

test('one element that the kernel rejects does not block the others', async () => {
  const { tables, rules } = setUp();
  await rules.declare();
  const poisoned = vip(13);
  tables.fault = (change) =>
    change.kind === 'add-elements' && change.elements.includes(poisoned) ? 'EINVAL' : undefined;
  const elements = Array.from({ length: 40 }, (_, index) => vip(index)).with(13, poisoned);
  const outcomes = await rules.apply(adding(elements));
  assert.deepEqual(outcomes[13], { status: 'failed', errno: 'EINVAL', message: 'EINVAL', culprit: 0 });
  assert.equal(outcomes.filter(({ status }) => status === 'applied').length, 39);
  assert.equal(tables.held.size, 39);
});

test('a table that another program deleted is declared again with the new elements, and its elements become untrusted', async () => {
  const { tables, doubts, rules, log } = setUp();
  await rules.declare();
  tables.declared.clear();
  const going: ElementOperation = { kind: 'delete-element', element: vip(3) };
  const outcomes = await rules.apply([...adding([vip(1)]), going, ...adding([vip(2)])]);
  assert.equal(statuses(outcomes), 'applied unknown applied');
  assert.equal(doubts.length, 1);
  assert.deepEqual([...tables.held.values()], [vip(1), vip(2)]);
  assert.deepEqual(
    log.at('warn').map(({ fields }) => fields['event']),
    ['packet-rules-repaired'],
  );
});

test('after a failed deletion or a lost reply, the additions are sent again', async () => {
  for (const first of [{ errno: 'ENOENT' }, { errno: 'EEXIST' }, undefined]) {
    const { tables, doubts, rules } = setUp();
    await rules.declare();
    const transaction = tables.transaction.bind(tables);
    tables.transaction = async () => {
      tables.transaction = transaction;
      return first === undefined
        ? { status: 'unknown' }
        : { status: 'failed', ...first, message: '', culprit: 0 };
    };
    const going: ElementOperation = { kind: 'delete-element', element: vip(3) };
    assert.equal(statuses(await rules.apply([going, ...adding([vip(1)])])), 'unknown applied');
    assert.equal(doubts.length, 1);
  }
});

test('reading a missing table returns its initial elements', async () => {
  const { tables, rules } = setUp({ held: [vip(1), setElement('IPv4', 'take-over', ['TCP'])] });
  assert.deepEqual(await rules.read(), [vip(1)]);
  await rules.declare();
  tables.declared.clear();
  tables.held.clear();
  rules.invalidate();
  assert.deepEqual(await rules.read(), [vip(1)]);
  assert.equal(await rules.declare(), true);
  assert.deepEqual(await rules.read(), [vip(1)]);
});

test('sets for source ranges that were read are declared again with their elements', async () => {
  const source = setElement('IPv4', 'sources-24', ['203.0.113.1' as never, 'TCP', 80, '192.0.2.0' as never]);
  const { tables, rules: first } = setUp();
  await first.apply(adding([source]));
  const { tables: others, rules } = setUp({ held: [source] });
  others.declared.set('IPv4', tables.declared.get('IPv4') as TableDeclaration);
  await rules.read();
  others.declared.clear();
  assert.equal(await rules.declare(), true);
  assert.ok(others.declared.get('IPv4')?.sets.some(({ name }) => name === 'sources-24'));
});

test('while the kernel rejects the rules, elements are deferred; once it accepts them, elements are read again', async () => {
  const { tables, doubts, rules, log } = setUp();
  tables.fault = ({ kind }) => (kind === 'declare-table' ? 'EOPNOTSUPP' : undefined);
  assert.equal(await rules.declare(), false);
  assert.equal(await rules.declare(), false);
  assert.equal(log.at('error').length, 1, 'said once');
  assert.equal(statuses(await rules.apply(adding([vip(1)]))), 'deferred');
  assert.equal(tables.held.size, 0);
  tables.fault = () => undefined;
  assert.equal(await rules.declare(), true);
  assert.equal(doubts.length, 1);
  assert.deepEqual(await rules.read(), []);
});

test('an outdated table is replaced and keeps the elements of known sets', async () => {
  const { tables, rules } = setUp();
  const vips = setDeclaration('vips');
  assert.ok(vips);
  tables.declared.set('IPv4', {
    family: 'IPv4',
    name: 'kube-ipvs',
    sets: [vips, { name: 'older', key: ['address'], verdicts: false, comment: '' }],
    chains: [],
  });
  const dropped = setElement('IPv4', 'older', vip(2).fields);
  for (const element of [vip(1), dropped]) tables.held.set(element.key, element);
  assert.equal(await rules.state('IPv4'), 'ours');
  assert.equal(await rules.declare(), true);
  assert.deepEqual([...tables.held.values()], [vip(1)]);
  assert.deepEqual(
    tables.transactions.map((changes) => changes.map(({ kind }) => kind)),
    [['delete-table', 'declare-table', 'add-elements']],
  );
});

test('a new table contains its initial elements from the start', async () => {
  const { tables, rules } = setUp({ held: [vip(1), setElement('IPv4', 'take-over', ['TCP'])] });
  assert.equal(await rules.state('IPv4'), 'none');
  await rules.declare();
  assert.equal(await rules.state('IPv4'), 'taking-over');
  assert.deepEqual(
    tables.transactions.map((changes) => changes.map(({ kind }) => kind)),
    [['declare-table', 'add-elements', 'add-elements']],
  );
  // `read` does not return the take-over marker.
  assert.deepEqual(await rules.read(), [vip(1)]);
  await rules.apply([{ kind: 'delete-element', element: setElement('IPv4', 'take-over', ['TCP']) }]);
  assert.equal(await rules.state('IPv4'), 'ours');
  assert.equal(await rules.state('IPv6'), 'none');
});

test('a set for a new prefix length is declared before its elements are added', async () => {
  const { tables, rules } = setUp();
  await rules.declare();
  const source = setElement('IPv4', 'sources-24', ['203.0.113.1' as never, 'TCP', 80, '192.0.2.0' as never]);
  assert.equal(statuses(await rules.apply(adding([source]))), 'applied');
  assert.ok(tables.declared.get('IPv4')?.sets.some(({ name }) => name === 'sources-24'));
});

test('a foreign set is not treated as a source range set, even if its name matches', async () => {
  const { tables, rules } = setUp();
  await rules.declare();
  const [declared] = tables.declared.values();
  assert.ok(declared !== undefined);
  const foreign = ['sources-all', 'sources-129', 'sources-Infinity'].map((name) => ({
    name,
    key: ['address'] as const,
    verdicts: false,
    comment: '',
  }));
  tables.declared.set('IPv4', { ...declared, sets: [...declared.sets, ...foreign] });
  rules.invalidate();
  assert.equal(await rules.declare(), true);
  assert.deepEqual(tables.declared.get('IPv4')?.sets, declared.sets);
});

test('declarations, rejected transactions and foreign changes of rules are reported; changes of elements are not', async () => {
  const { tables, happenings, rules } = setUp();
  await rules.declare();
  assert.deepEqual(happenings.splice(0), ['declared IPv4']);
  await rules.apply(adding([vip(1)]));
  assert.deepEqual(happenings, []);
  tables.fault = ({ kind }) => (kind === 'add-elements' ? 'EINVAL' : undefined);
  await rules.apply(adding([vip(2)]));
  assert.deepEqual(happenings.splice(0), ['refused IPv4']);
  tables.declared.clear();
  rules.invalidate();
  await rules.declare();
  assert.deepEqual(happenings, ['mended IPv4']);
});

test('tables are compared again only after a transaction of any program, or where that cannot be told', async () => {
  const { tables, rules } = setUp();
  const readsOfACheck = async (): Promise<number> => {
    const before = tables.reads;
    await rules.invalidateIfChanged();
    await rules.declare();
    return tables.reads - before;
  };
  assert.equal(await readsOfACheck(), 1);
  // The declaration was a transaction.
  assert.deepEqual([await readsOfACheck(), await readsOfACheck()], [1, 0]);
  await rules.apply(adding([vip(1)]));
  assert.deepEqual([await readsOfACheck(), await readsOfACheck()], [1, 0]);
  tables.declared.clear();
  tables.currentGeneration = 99;
  assert.equal(await readsOfACheck(), 1);
  assert.equal(tables.declared.size, 1);
  tables.currentGeneration = undefined;
  assert.deepEqual([await readsOfACheck(), await readsOfACheck()], [1, 1]);
});

test('missing elements or a transaction without a reply do not cause a search for the failing element', async () => {
  const { tables, rules, doubts } = setUp();
  await rules.declare();
  tables.fault = ({ kind }) => (kind === 'delete-elements' ? 'ENOENT' : undefined);
  const before = tables.transactions.length;
  const gone = Array.from({ length: 1_000 }, (_, index) => vip(index % 250));
  const outcomes = await rules.apply(gone.map((element) => ({ kind: 'delete-element', element })));
  assert.ok(outcomes.every(({ status }) => status === 'unknown'));
  assert.equal(tables.transactions.length, before + 1);
  assert.equal(doubts.length, 1);
});

test('a family with unreadable elements counts as failed until they are readable; the error is logged once and not thrown', async () => {
  const { rules, tables, log, doubts } = setUp({ held: [vip(1)] });
  await rules.declare();
  tables.unreadable = true;
  assert.deepEqual(await rules.read(), []);
  assert.deepEqual(rules.inForce, []);
  for (let round = 0; round < 3; round += 1) assert.equal(await rules.declare(), false);
  assert.deepEqual(
    log.at('error').map(({ fields }) => fields['event']),
    ['packet-rules-unreadable'],
  );
  tables.unreadable = false;
  assert.equal(await rules.declare(), true);
  assert.equal(doubts.length, 1);
  assert.deepEqual((await rules.read()).length, 1);
  assert.equal(log.at('error').length, 1);
});

test('a known table is not read again for its elements', async () => {
  const { rules, tables } = setUp({ held: [vip(1)] });
  await rules.declare();
  tables.table = () => assert.fail('read again');
  assert.equal((await rules.read()).length, 1);
});

test('if a deleted table cannot be read, only the sent operations fail, without an exception', async () => {
  const { tables, rules } = setUp();
  await rules.declare();
  tables.declared.clear();
  tables.table = async () => {
    throw new NetlinkError('read the table', 12);
  };
  for (let attempt = 0; attempt < 2; attempt += 1)
    assert.equal(statuses(await rules.apply(adding([vip(1)]))), 'unknown');
});

test('while a table cannot be read, only ownership markers are sent to it', async () => {
  const { tables, rules } = setUp();
  await rules.declare();
  const named = packetClassElement(
    { by: 'address', protocol: 'TCP', address: ip('10.96.0.1'), port: 80 },
    'cluster-ip',
  );
  tables.unreadable = true;
  rules.invalidate();
  await rules.read();
  assert.equal(rules.hasFailed('IPv4'), true);
  assert.equal(statuses(await rules.apply(adding([vip(1), named]))), 'deferred applied');
  assert.deepEqual([...tables.held.values()], [named]);
  tables.declared.clear();
  tables.held.clear();
  await rules.read();
  const before = tables.transactions.length;
  await rules.apply(adding([named]));
  assert.equal(tables.transactions.length, before, 'a missing table gets no transaction');
});
