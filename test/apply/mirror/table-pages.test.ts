import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TablePages } from '../../../src/apply/mirror/table-pages.js';
import { ObservedServer } from '../../../src/apply/state/observed-server.js';
import { at, real, virtual } from '../../support/virtual-server-entries.js';

const observed = (index: number): ObservedServer =>
  new ObservedServer(virtual(at('TCP', `10.96.0.${index}`, 80)), [real(`10.1.0.${index}`, 80)]);

/** Reads pages, each the text and the virtual servers that it shows as they are known. Returns which were recognized. */
const readRound = (
  pages: TablePages,
  round: readonly (readonly [text: string | undefined, servers: readonly ObservedServer[]])[],
): readonly boolean[] => {
  pages.beginRound();
  const recognized = round.map(([text, servers]) => {
    const isKnown = pages.begin(text === undefined ? undefined : Buffer.from(text));
    if (!isKnown) for (const server of servers) pages.add(server);
    return isKnown;
  });
  pages.endRound();
  return recognized;
};

describe('pages of the table file', () => {
  test('are recognized while they and their virtual servers stay the same', () => {
    const pages = new TablePages();
    const [a, b, c] = [observed(1), observed(2), observed(3)];
    const round = [['ab', [a, b]] as const, ['c', [c]] as const];
    assert.deepEqual(readRound(pages, round), [false, false]);
    assert.deepEqual(readRound(pages, round), [true, true]);
    assert.deepEqual(readRound(pages, [['ab*', [a, b]] as const, ['c', [c]] as const]), [false, true]);
    // Only the previous round counts.
    assert.deepEqual(readRound(pages, round), [false, true]);
    assert.deepEqual(readRound(pages, round), [true, true]);
    assert.ok([a, b, c].every((server) => pages.show(server)));
  });

  const changes: readonly (readonly [string, (server: ObservedServer) => void])[] = [
    ['a real server that comes', (server) => server.setRealServer(real('10.1.0.9', 80))],
    ['a real server that goes', (server) => server.deleteRealServer(real('10.1.0.2', 80).key)],
    [
      'another setting',
      (server) => void (server.server = virtual(server.server.identity, { flags: ['ops'] })),
    ],
  ];
  for (const [name, change] of changes)
    test(`are not recognized after a change of what is known: ${name}`, () => {
      const pages = new TablePages();
      const [a, b] = [observed(1), observed(2)];
      readRound(pages, [['ab', [a, b]]]);
      change(b);
      assert.ok(!pages.show(b));
      assert.deepEqual(readRound(pages, [['ab', [a, b]]]), [false]);
      assert.deepEqual(readRound(pages, [['ab', [a, b]]]), [true]);
    });

  test('show only virtual servers of this round', () => {
    const pages = new TablePages();
    const [a, b] = [observed(1), observed(2)];
    readRound(pages, [
      ['a', [a]],
      ['b', [b]],
    ]);
    readRound(pages, [['a', [a]]]);
    assert.deepEqual([pages.show(a), pages.show(b)], [true, false]);
  });

  test('are not recognized if they show something else, or are not whole', () => {
    const pages = new TablePages();
    const a = observed(1);
    for (let round = 0; round < 3; round += 1) {
      pages.beginRound();
      assert.equal(pages.begin(Buffer.from('a')), false);
      pages.add(a);
      pages.spoil();
      assert.equal(pages.begin(undefined), false);
      pages.endRound();
      assert.ok(pages.show(a));
    }
  });

  test('whose last virtual server goes on behind them do not show it', () => {
    const pages = new TablePages();
    const [a, b] = [observed(1), observed(2)];
    readRound(pages, [['ab', [a, b]]]);
    pages.beginRound();
    assert.equal(pages.begin(Buffer.from('ab')), true);
    pages.cut();
    assert.equal(pages.begin(undefined), false);
    pages.endRound();
    assert.deepEqual([pages.show(a), pages.show(b)], [true, false]);
    assert.deepEqual(readRound(pages, [['ab', [a, b]]]), [false]);
  });

  test('of a round that failed do not count', () => {
    const pages = new TablePages();
    const a = observed(1);
    pages.beginRound();
    pages.begin(Buffer.from('a'));
    pages.add(a);
    assert.deepEqual(readRound(pages, [['a', [a]]]), [false]);
  });
});
