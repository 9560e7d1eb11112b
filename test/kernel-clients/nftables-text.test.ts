import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { families, type Family } from '../../src/base/ip.js';
import { expression } from '../../src/kernel/nftables/expression-attributes.js';
import { expressionFrom, valuesOf } from '../../src/kernel/nftables/expressions.js';
import type { Expression, RegisterValue, Rule } from '../../src/nftables/declarations.js';
import { ruleText, tableText } from '../../src/nftables/table-text.js';
import { ByteWriter, viewOf } from '../../src/netlink/codec/bytes.js';
import { everything, load, sampleAddress, serviceElement } from '../support/packet-rules.js';

const ruleOf = (...expressions: readonly Expression[]): Rule => ({ expressions, comment: undefined });
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

const register = fc.nat(15);
const word = fc.nat(0xffffffff);
const value: fc.Arbitrary<RegisterValue> = fc.oneof(
  word,
  fc.constantFrom(1, 2, 4, 16).chain((length) => bytes(length)),
);
const chain = fc.constantFrom('cluster-ip', 'external');

/** Every expression, with any registers and values. */
const anyExpression: fc.Arbitrary<Expression> = fc.oneof(
  fc.record({
    kind: fc.constant('payload' as const),
    base: fc.constantFrom('network' as const, 'transport' as const),
    offset: fc.constantFrom(0, 2, 8, 12, 16, 24),
    length: fc.constantFrom(1, 2, 4, 16),
    to: register,
  }),
  fc.record({
    kind: fc.constant('meta' as const),
    key: fc.constantFrom(...(['mark', 'protocol', 'l4proto', 'iifname', 'oifname', 'iif', 'oif'] as const)),
    to: register,
  }),
  fc.record({ kind: fc.constant('meta-set' as const), key: fc.constant('mark' as const), from: register }),
  fc.record({
    kind: fc.constant('ct' as const),
    key: fc.constantFrom('state' as const, 'status' as const, 'mark' as const),
    to: register,
  }),
  fc.record({
    kind: fc.constant('fib-type' as const),
    of: fc.constantFrom('source' as const, 'destination' as const),
    to: register,
  }),
  fc.tuple(register, register, fc.constantFrom(1, 2, 4, 16)).chain(([from, to, length]) =>
    fc.record({
      kind: fc.constant('bitwise' as const),
      from: fc.constant(from),
      to: fc.constant(to),
      mask: bytes(length),
      xor: bytes(length),
    }),
  ),
  fc.record({
    kind: fc.constant('compare' as const),
    operator: fc.constantFrom(...(['==', '!=', '<', '<=', '>', '>='] as const)),
    from: register,
    value,
  }),
  fc.record({ kind: fc.constant('immediate' as const), to: register, value }),
  fc.record({
    kind: fc.constantFrom('lookup' as const, 'verdict-map' as const),
    set: fc.constantFrom('services', 'vips'),
    from: register,
    inverted: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('verdict' as const),
    verdict: fc.constantFrom('accept' as const, 'drop' as const, 'continue' as const, 'return' as const),
  }),
  fc.record({
    kind: fc.constant('verdict' as const),
    verdict: fc.constantFrom('jump' as const, 'goto' as const),
    chain,
  }),
  fc.record({
    kind: fc.constant('masquerade' as const),
    fullyRandom: fc.boolean(),
    ports: fc.option(fc.record({ from: register, to: register }), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('destination-nat' as const), address: register }),
  fc.record({
    kind: fc.constant('reject' as const),
    with: fc.constantFrom('tcp-reset' as const, 'port-unreachable' as const),
  }),
  fc.record({
    kind: fc.constant('counter' as const),
    packets: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    bytes: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  }),
);
const anyFamily = fc.constantFrom<Family>('IPv4', 'IPv6');

describe('expressions', () => {
  test('each is read as it was written', () => {
    fc.assert(
      fc.property(anyExpression, anyFamily, (original, family) => {
        const writer = new ByteWriter(8);
        expression.write(writer, valuesOf(original, family));
        const read = expressionFrom(expression.read(viewOf(writer.written()), 0, writer.length), family);
        assert.equal(ruleText(family, ruleOf(read)), ruleText(family, ruleOf(original)));
        assert.equal(read.kind, original.kind);
      }),
      { numRuns: 2000 },
    );
  });
});

const bytesOf = (given: RegisterValue): Uint8Array =>
  typeof given === 'number' ? new Uint8Array(Uint32Array.of(given).buffer) : given;

/** Bytes of a packet that depend on where they are taken from, and on nothing else. */
const taken = (seed: number, place: string, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => {
    let hash = seed + index * 31;
    for (const character of place) hash = Math.imul(hash ^ character.charCodeAt(0), 0x9e3779b1);
    return (hash >>> 24) & 0xff;
  });

/** What a rule does to a packet, step by step, as the kernel's machine does it: what is compared, looked up and set. */
const effects = (family: Family, expressions: readonly Expression[], seed: number): readonly string[] => {
  const registers = new Uint8Array(128);
  const seen: string[] = [];
  const at = (from: number, length: number): string =>
    Buffer.from(registers.subarray(from * 4, from * 4 + length)).toString('hex');
  /** As in the kernel, a register that is not filled is zero at its end. */
  const put = (to: number, given: Uint8Array): void => {
    registers.fill(0, to * 4, to * 4 + Math.ceil(given.length / 4) * 4);
    registers.set(given, to * 4);
  };
  const lengthOfKey = family === 'IPv4' ? { services: 12, vips: 4 } : { services: 24, vips: 16 };
  for (const one of expressions)
    switch (one.kind) {
      case 'payload':
        // Fragments have none: there the rule ends.
        if (one.base === 'transport') seen.push('needs a transport header');
        put(one.to, taken(seed, `${one.base}${one.offset}`, one.length));
        break;
      case 'meta':
        put(
          one.to,
          taken(seed, one.key, { l4proto: 1, protocol: 2, iifname: 16, oifname: 16 }[one.key as string] ?? 4),
        );
        break;
      case 'ct':
        put(one.to, taken(seed, `ct ${one.key}`, 4));
        break;
      case 'fib-type':
        put(one.to, taken(seed, `fib ${one.of}`, 4));
        break;
      case 'immediate':
        put(one.to, bytesOf(one.value));
        break;
      case 'bitwise': {
        const mask = bytesOf(one.mask);
        const xor = bytesOf(one.xor);
        const old = registers.slice(one.from * 4, one.from * 4 + mask.length);
        put(
          one.to,
          old.map((byte, index) => (byte & (mask[index] ?? 0)) ^ (xor[index] ?? 0)),
        );
        break;
      }
      case 'compare': {
        const right = bytesOf(one.value);
        seen.push(`${at(one.from, right.length)} ${one.operator} ${Buffer.from(right).toString('hex')}`);
        break;
      }
      case 'lookup':
      case 'verdict-map': {
        const length = lengthOfKey[one.set as 'services' | 'vips'];
        seen.push(`${one.kind} ${one.set} ${one.inverted === true} ${at(one.from, length)}`);
        break;
      }
      case 'mark-map':
        put(one.to, taken(seed, at(one.from, lengthOfKey[one.set as 'services' | 'vips']), 4));
        break;
      case 'meta-set':
        seen.push(`set ${one.key} ${at(one.from, 4)}`);
        break;
      case 'masquerade':
        seen.push(
          `masquerade ${one.fullyRandom} ${one.ports === undefined ? '' : `${at(one.ports.from, 2)}-${at(one.ports.to, 2)}`}`,
        );
        break;
      case 'destination-nat':
        seen.push(`dnat ${at(one.address, family === 'IPv4' ? 4 : 16)}`);
        break;
      case 'counter':
        seen.push('counter');
        break;
      case 'reject':
      case 'verdict':
      case 'unknown':
        seen.push(JSON.stringify(one));
    }
  return seen;
};

/** Pieces that make sense together, at registers that differ, so that rules are often alike and seldom the same. */
const piece = (family: Family): fc.Arbitrary<readonly Expression[]> => {
  const first = fc.constantFrom(0, 1, 4, 8);
  const moved = (expressions: readonly Expression[], by: number): readonly Expression[] =>
    expressions.map((one) => ({
      ...one,
      ...('to' in one ? { to: one.to + by } : {}),
      ...('from' in one ? { from: one.from + by } : {}),
    }));
  const address = family === 'IPv4' ? 4 : 16;
  return fc.oneof(
    fc
      .tuple(
        first,
        fc.constantFrom('services', 'vips'),
        fc.boolean(),
        fc.constantFrom('lookup' as const, 'verdict-map' as const),
      )
      .map(([by, set, inverted, kind]): readonly Expression[] => [
        ...moved(load(family, ...(set === 'vips' ? ['daddr'] : ['daddr', 'l4proto', 'dport'])), by),
        { kind, set, from: by, inverted },
      ]),
    fc
      .tuple(
        first,
        fc.constantFrom('saddr', 'daddr', 'saddr/24', 'saddr/32'),
        fc.constantFrom('==' as const, '!=' as const, '<' as const),
      )
      .map(([by, field, operator]): readonly Expression[] => [
        ...moved(load(family, field), by),
        { kind: 'compare', operator, from: by, value: new Uint8Array(address) },
      ]),
    fc
      .tuple(first, fc.constantFrom(1, 8, 0xffffbfff, 0xffffffff), fc.constantFrom(0, 0x4000))
      .map(([by, mask, xor]): readonly Expression[] => [
        { kind: 'meta', key: 'mark', to: by },
        { kind: 'bitwise', from: by, to: by, mask, xor },
        { kind: 'meta-set', key: 'mark', from: by },
      ]),
    fc
      .tuple(
        first,
        fc.constantFrom('state' as const, 'status' as const, 'mark' as const),
        fc.constantFrom(0, 1, 8, 9),
        fc.constantFrom('==' as const, '!=' as const),
      )
      .map(([by, key, mask, operator]): readonly Expression[] => [
        { kind: 'ct', key, to: by },
        { kind: 'bitwise', from: by, to: by, mask, xor: 0 },
        { kind: 'compare', operator, from: by, value: 0 },
      ]),
    fc.tuple(first, fc.constantFrom('veth', 'veth\0', 'eth0')).map(([by, name]): readonly Expression[] => [
      { kind: 'meta', key: 'iifname', to: by },
      { kind: 'compare', operator: '==', from: by, value: new TextEncoder().encode(name) },
    ]),
    anyExpression.map((one): readonly Expression[] => [one]),
  );
};

const mutations = (expressions: readonly Expression[]): fc.Arbitrary<readonly Expression[]> =>
  fc
    .tuple(fc.constantFrom('keep', 'drop', 'swap', 'move', 'turn'), fc.nat(expressions.length))
    .map(([how, at]) => {
      const changed = [...expressions];
      if (how === 'drop') changed.splice(at, 1);
      if (how === 'swap') changed.splice(at, 2, ...changed.slice(at, at + 2).toReversed());
      const one = changed[at];
      if (how === 'move' && one !== undefined && 'to' in one) changed[at] = { ...one, to: (one.to + 4) % 16 };
      if (how === 'turn' && one !== undefined && 'operator' in one)
        changed[at] = { ...one, operator: one.operator === '==' ? '!=' : '==' };
      if (how === 'turn' && one !== undefined && 'inverted' in one)
        changed[at] = { ...one, inverted: !one.inverted };
      return changed;
    });

test('rules of the same text do the same', () => {
  const counts = { same: 0, plain: 0, runs: 0 };
  const rules = anyFamily.chain((family) => {
    const pieces = fc.array(piece(family), { minLength: 1, maxLength: 3 }).map((list) => list.flat());
    const other = (one: readonly Expression[]) =>
      fc.tuple(fc.constant(family), fc.constant(one), fc.oneof(mutations(one), pieces));
    return pieces.chain(other);
  });
  fc.assert(
    fc.property(rules, fc.nat(), ([family, one, other], seed) => {
      const text = ruleText(family, ruleOf(...one), { counters: false });
      counts.runs += 1;
      if (!text.startsWith('[')) counts.plain += 1;
      if (text !== ruleText(family, ruleOf(...other), { counters: false })) return;
      counts.same += 1;
      assert.deepEqual(effects(family, other, seed), effects(family, one, seed), text);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(counts.same > counts.runs / 20 && counts.plain > counts.runs / 10, JSON.stringify(counts));
});

describe('what nft’s words would leave out is told step by step', () => {
  const loaded = load('IPv4', 'daddr');
  const accept: Expression = { kind: 'verdict', verdict: 'accept' };
  const cases: Readonly<Record<string, readonly [readonly Expression[], string]>> = {
    'a value that is not used': [
      [...loaded, accept],
      '[ payload base network length 4 offset 16 to 0 ] [ verdict verdict accept ]',
    ],
    'a value that is used twice': [
      [...loaded, { kind: 'lookup', set: 'vips', from: 0 }, { kind: 'lookup', set: 'others', from: 0 }],
      '[ payload base network length 4 offset 16 to 0 ] [ lookup from 0 set vips ] [ lookup from 0 set others ]',
    ],
    'a comparison of a part': [
      [...loaded, { kind: 'compare', operator: '==', from: 0, value: Uint8Array.of(10, 0) }],
      '[ payload base network length 4 offset 16 to 0 ] [ compare from 0 operator == value 0x0a00 ]',
    ],
  };
  for (const [name, [expressions, expected]] of Object.entries(cases))
    test(name, () => assert.equal(ruleText('IPv4', ruleOf(...expressions)), expected));
});

describe('texts', () => {
  test('counters are left out on demand', () => {
    const counter: Expression = { kind: 'counter', packets: 3n, bytes: 180n };
    assert.equal(ruleText('IPv4', ruleOf(counter)), 'counter packets 3 bytes 180');
    assert.equal(ruleText('IPv4', ruleOf(counter), { counters: false }), 'counter');
  });

  test('expressions of others are told with what they hold', () => {
    const unknown = (content: string): Expression => ({ kind: 'unknown', name: 'limit', content });
    assert.equal(ruleText('IPv4', ruleOf(unknown('{#1=00}'))), '[ limit {#1=00} ]');
    assert.notEqual(
      ruleText('IPv4', ruleOf(unknown('{#1=00}'))),
      ruleText('IPv4', ruleOf(unknown('{#1=01}'))),
    );
  });

  for (const family of families)
    test(`every rule of the sample table: ${family}`, () => {
      const { declaration, words } = everything(family);
      for (const { name, rules } of declaration.chains)
        assert.deepEqual(
          rules.map((rule) => ruleText(family, rule)),
          words.get(name),
        );
    });

  test('a table', () => {
    const { declaration } = everything('IPv6');
    const element = serviceElement('IPv6', [sampleAddress.IPv6, 'TCP', 80]);
    const text = tableText(
      { ...declaration, chains: declaration.chains.slice(3, 4) },
      new Map([['services', [element, serviceElement('IPv6', [sampleAddress.IPv6, 'UDP', 53], 'refuse')]]]),
    );
    assert.equal(
      text,
      `table ip6 kube-ipvs {
	map services {
		type ipv6_addr . inet_proto . inet_service : verdict
		comment "virtual servers"
		elements = { fd00:96::10 . tcp . 80 : goto cluster-ip,
			     fd00:96::10 . udp . 53 : goto refuse }
	}

	set vips {
		type ipv6_addr
		comment "addresses"
	}

	set sources-24 {
		type ipv6_addr . inet_proto . inet_service . ipv6_addr
	}

	chain pin {
		type nat hook prerouting priority -105; policy accept;
		ip6 daddr @vips dnat to ip6 daddr
	}
}
`,
    );
  });
});
