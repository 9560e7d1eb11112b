import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { nftablesForwardFilters } from '../../src/kernel/nftables/foreign/forward-filters.js';
import { legacyForwardFilter } from '../../src/kernel/xtables/legacy-forward-filter.js';
import { dropsReplies } from '../../src/plan/packet-rules/forward-policy.js';
import { run } from '../support/lab-guest.js';

// The tables that are read here are written by their own programs: nft, and both kinds of iptables of the Debian package.

type Variant = 'legacy' | 'nft';
type Family = 'ip' | 'ip6';

const program = (variant: Variant, family: Family): string =>
  `${family === 'ip' ? 'iptables' : 'ip6tables'}-${variant}`;

const drops = async (variant: Variant, family: Family): Promise<boolean> => {
  if (variant === 'legacy') {
    const filter = legacyForwardFilter(family);
    assert.ok(filter);
    return dropsReplies(filter);
  }
  const filters = await nftablesForwardFilters();
  assert.deepEqual(
    filters.map(({ by, family: of, table, chain, priority }) => [by, of, table, chain, priority]),
    [['iptables-nft', family, 'filter', 'FORWARD', 0]],
  );
  return filters.some(dropsReplies);
};

/** Table filter with these rules, and chains INPUT and OUTPUT that say the contrary. */
const set = (variant: Variant, family: Family, policy: string, rules: readonly string[]): void => {
  const contrary = policy === 'DROP' ? 'ACCEPT' : 'DROP';
  const chains = rules.flatMap((rule) => /^-N (\S+)/.exec(rule)?.[1] ?? []).map((chain) => `:${chain} -`);
  const lines = [
    '*filter',
    `:INPUT ${contrary}`,
    `:FORWARD ${policy}`,
    `:OUTPUT ${contrary}`,
    ...chains,
    '-A INPUT -j ACCEPT',
    ...rules.filter((rule) => !rule.startsWith('-N')),
    '-A OUTPUT -j ACCEPT',
    'COMMIT',
  ];
  const restore = program(variant, family).concat('-restore');
  run('sh', '-c', `printf '%s\\n' "$@" | ${restore}`, 'sh', ...lines);
};

const established = '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
const cases: readonly (readonly [
  what: string,
  policy: 'ACCEPT' | 'DROP',
  rules: readonly string[],
  drops: boolean,
])[] = [
  ['a policy that accepts', 'ACCEPT', [], false],
  ['a policy that drops', 'DROP', [], true],
  ['established traffic accepted', 'DROP', [`-A FORWARD ${established}`], false],
  [
    'established traffic accepted, with a comment',
    'DROP',
    [`-A FORWARD -m comment --comment answers ${established}`],
    false,
  ],
  [
    'established traffic accepted by the match state',
    'DROP',
    ['-A FORWARD -m state --state ESTABLISHED -j ACCEPT'],
    false,
  ],
  ['all but new traffic accepted', 'DROP', ['-A FORWARD -m conntrack ! --ctstate NEW -j ACCEPT'], false],
  ['related traffic accepted', 'DROP', ['-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT'], true],
  [
    'all but established traffic accepted',
    'DROP',
    ['-A FORWARD -m conntrack ! --ctstate ESTABLISHED -j ACCEPT'],
    true,
  ],
  [
    'established traffic of one interface accepted, as Docker does',
    'DROP',
    [`-A FORWARD -o docker0 ${established}`],
    true,
  ],
  ['established traffic of one port accepted', 'DROP', [`-A FORWARD -p tcp --dport 80 ${established}`], true],
  [
    'established traffic accepted with a second condition',
    'DROP',
    ['-A FORWARD -m conntrack --ctstate ESTABLISHED --ctstatus CONFIRMED -j ACCEPT'],
    true,
  ],
  ['a rule that rejects everything', 'ACCEPT', ['-A FORWARD -j REJECT'], true],
  [
    'established traffic accepted before everything is rejected',
    'ACCEPT',
    [`-A FORWARD ${established}`, '-A FORWARD -j REJECT'],
    false,
  ],
  [
    'established traffic accepted too late',
    'ACCEPT',
    ['-A FORWARD -j DROP', `-A FORWARD ${established}`],
    true,
  ],
  [
    'established traffic accepted in a chain that all packets pass',
    'DROP',
    ['-N ours', `-A ours ${established}`, '-N other', '-A FORWARD -j ours'],
    false,
  ],
  [
    'established traffic accepted in a chain that some packets pass',
    'DROP',
    ['-N ours', `-A ours ${established}`, '-A FORWARD -i eth0 -j ours'],
    true,
  ],
  [
    'a chain that returns before it accepts',
    'DROP',
    ['-N ours', '-A ours -j RETURN', `-A ours ${established}`, '-A FORWARD -j ours'],
    true,
  ],
  [
    'a chain gone to, and back to the policy past what follows',
    'DROP',
    ['-N ours', '-A ours -j MARK --set-mark 1', '-A FORWARD -g ours', `-A FORWARD ${established}`],
    true,
  ],
  [
    'a log line before',
    'DROP',
    ['-A FORWARD -m limit --limit 1/s -j MARK --set-mark 1', `-A FORWARD ${established}`],
    false,
  ],
];

for (const family of ['ip', 'ip6'] as const)
  test(`${family}: asking loads no table`, async () => {
    const names = `/proc/net/${family}_tables_names`;
    assert.equal(readFileSync(names, 'utf8'), '');
    assert.equal(legacyForwardFilter(family), undefined);
    assert.equal(readFileSync(names, 'utf8'), '');
    assert.deepEqual(await nftablesForwardFilters(), []);
  });

for (const [variant, family] of [
  ['legacy', 'ip'],
  ['legacy', 'ip6'],
  ['nft', 'ip'],
] as const) {
  for (const [what, policy, rules, expected] of cases)
    test(`${program(variant, family)}: ${what}: ${expected ? 'answers are lost' : 'answers pass'}`, async () => {
      set(variant, family, policy, rules);
      assert.equal(await drops(variant, family), expected);
    });
  test(`${program(variant, family)}: the end`, () => {
    run('nft', 'flush', 'ruleset');
  });
}

const ctAccept = 'ct state established,related accept';
const native: readonly (readonly [what: string, rules: string, drops: boolean])[] = [
  ['established and related accepted', ctAccept, false],
  [
    'established accepted, counted, logged and commented',
    'ct state established counter log accept comment "answers"',
    false,
  ],
  ['related accepted', 'ct state related accept', true],
  ['all but new and invalid accepted', 'ct state != { new, invalid } accept', false],
  ['a set of states', 'ct state { established, related } accept', false],
  ['a set of other states', 'ct state { new, related } accept', true],
  [
    'a map of states to verdicts',
    'ct state vmap { established : accept, related : accept, invalid : drop }',
    false,
  ],
  ['a map of states to a chain', 'ct state vmap { established : jump open, new : drop }', false],
  ['a map of states that drops', 'ct state vmap { established : drop }; accept', true],
  ['established accepted on one interface', 'iifname "eth0" ct state established accept', true],
  ['established accepted for one source', 'ip saddr 10.0.0.0/8 ct state established accept', true],
  ['established accepted at a rate', 'ct state established limit rate 1/second accept', true],
  ['invalid dropped first', `ct state invalid drop; ${ctAccept}`, false],
  ['new dropped first', `ct state new drop; ${ctAccept}`, false],
  ['a chain that accepts', 'jump open', false],
  ['a chain gone to that accepts', 'goto open', false],
  ['a chain that some packets go to', 'tcp dport 80 jump open', true],
  ['everything refused', `reject; ${ctAccept}`, true],
  ['a status, not a state', 'ct status assured accept', true],
];
for (const family of ['ip', 'inet'] as const)
  for (const [what, rules, expected] of native)
    test(`nft, ${family}: ${what}: ${expected ? 'answers are lost' : 'answers pass'}`, async () => {
      run(
        'nft',
        `flush ruleset; table ${family} firewall { chain open { ${ctAccept}; }; chain forward { type filter hook forward priority -5; policy drop; ${rules}; }; }`,
      );
      const [filter, ...others] = await nftablesForwardFilters();
      assert.deepEqual(
        [filter?.by, filter?.family, filter?.table, filter?.chain, filter?.priority, filter?.policy, others],
        ['nftables', family, 'firewall', 'forward', -5, 'drop', []],
      );
      assert.ok(filter);
      assert.equal(dropsReplies(filter), expected);
    });

test('a table that is asleep and chains at other hooks are nobody’s trouble', async () => {
  const policy = 'priority 0; policy drop;';
  run(
    'nft',
    `flush ruleset; table inet asleep { flags dormant; chain forward { type filter hook forward ${policy} }; }; ` +
      `table inet other { chain input { type filter hook input ${policy} }; }; table bridge b { chain forward { type filter hook forward ${policy} }; }`,
  );
  assert.deepEqual(await nftablesForwardFilters(), []);
});
