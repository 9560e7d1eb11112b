import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ForeignRule, ForwardFilter } from '../../../src/model/forward-filter.js';
import { dropsReplies, warningText, remedyFor } from '../../../src/plan/packet-rules/forward-policy.js';

const all = (verdict: 'accept' | 'drop' | 'return' | 'continue'): ForeignRule => ({
  scope: 'all',
  action: { verdict },
});
const some = (verdict: 'accept' | 'drop'): ForeignRule => ({ scope: 'some', action: { verdict } });
const leadsTo = (verdict: 'jump' | 'goto', chain: string): ForeignRule => ({
  scope: 'all',
  action: { verdict, chain },
});

const filter = (
  policy: 'accept' | 'drop',
  rules: readonly ForeignRule[],
  others: Readonly<Record<string, readonly ForeignRule[]>> = {},
): ForwardFilter => ({
  by: 'nftables',
  family: 'inet',
  table: 'firewall',
  chain: 'forward',
  priority: 0,
  policy,
  chains: new Map(Object.entries({ forward: rules, ...others })),
});

const cases: readonly (readonly [what: string, filter: ForwardFilter, drops: boolean])[] = [
  ['an empty chain that accepts', filter('accept', []), false],
  ['an empty chain that drops', filter('drop', []), true],
  ['rules that match only some packets', filter('drop', [some('accept'), some('drop')]), true],
  [
    'the first rule that matches all packets decides',
    filter('drop', [some('drop'), all('accept'), all('drop')]),
    false,
  ],
  ['a drop before the accept', filter('accept', [all('drop'), all('accept')]), true],
  ['a rule that continues', filter('drop', [all('continue'), all('accept')]), false],
  ['a return to the policy', filter('drop', [all('return'), all('accept')]), true],
  ['a chain that accepts', filter('drop', [leadsTo('jump', 'a')], { a: [all('accept')] }), false],
  [
    'a chain that returns to the next rule',
    filter('drop', [leadsTo('jump', 'a'), all('accept')], { a: [all('return'), all('drop')] }),
    false,
  ],
  [
    'a chain after goto does not return',
    filter('drop', [leadsTo('goto', 'a'), all('accept')], { a: [] }),
    true,
  ],
  ['a chain that could not be read', filter('drop', [leadsTo('jump', 'a')]), true],
  ['chains that form a loop', filter('drop', [leadsTo('jump', 'a')], { a: [leadsTo('jump', 'a')] }), true],
];
for (const [what, given, expected] of cases)
  test(`${what}: replies ${expected ? 'are lost' : 'pass'}`, () => {
    assert.equal(dropsReplies(given), expected);
  });

test('the remedy uses the command of the program that owns the chain', () => {
  const of = (by: ForwardFilter['by'], family: ForwardFilter['family']): string =>
    remedyFor({ ...filter('drop', []), by, family, chain: 'FORWARD' });
  assert.equal(
    of('nftables', 'inet'),
    'nft insert rule inet firewall FORWARD ct state established,related accept',
  );
  assert.equal(
    of('iptables-legacy', 'ip'),
    'iptables-legacy -I FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
  );
  assert.equal(
    of('iptables-nft', 'ip6'),
    'ip6tables-nft -I FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
  );
});

test('a warning names the chain, the lost packets and the remedy', () => {
  assert.equal(
    warningText(filter('drop', [])),
    'chain forward of table inet firewall (nftables, hook forward, priority 0) drops by its policy every packet that no rule accepts: ' +
      'replies of pods to clients outside this node are lost unless a rule of the chain accepts them, ' +
      'and kube-ipvs cannot prevent this with its own rules. ' +
      'To accept replies: nft insert rule inet firewall forward ct state established,related accept',
  );
});
