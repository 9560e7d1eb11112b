import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { test } from 'node:test';
import { ip } from '../support/objects.js';
import type { RegisterValue, Rule } from '../../src/nftables/declarations.js';
import { registerBytesOf, registerNumberOf } from '../../src/nftables/register-value.js';
import { runHooks } from '../../src/nftables/rule-interpreter.js';

/** 0x4000 as four bytes of this machine's memory. */
const markBytes = endianness() === 'LE' ? Uint8Array.of(0, 0x40, 0, 0) : Uint8Array.of(0, 0, 0x40, 0);

test('a number in registers has the byte order of the machine', () => {
  assert.deepEqual(registerBytesOf(0x4000), markBytes);
  assert.equal(registerNumberOf(markBytes), 0x4000);
});

test('bytes in registers stay as they are', () => {
  assert.deepEqual(registerBytesOf(Uint8Array.of(1, 2, 3)), Uint8Array.of(1, 2, 3));
});

const packet = {
  source: ip('192.0.2.1'),
  destination: ip('10.96.0.1'),
  protocol: 'TCP' as const,
  port: 80,
  interfaceName: 'eth0',
  mark: 0,
};

const resultOf = (rule: Rule) =>
  runHooks(
    {
      table: {
        family: 'IPv4',
        name: 'test',
        sets: [],
        chains: [
          {
            name: 'filter',
            hook: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' },
            rules: [rule],
          },
        ],
      },
      hasElement: () => false,
      isLocal: () => false,
    },
    ['input'],
    packet,
  );

/** Sets the mark, then drops what has the mark. */
const setsAndMatches = (set: RegisterValue, compared: RegisterValue): Rule => ({
  comment: undefined,
  expressions: [
    { kind: 'immediate', to: 0, value: set },
    { kind: 'meta-set', key: 'mark', from: 0 },
    { kind: 'meta', key: 'mark', to: 0 },
    { kind: 'compare', operator: '==', from: 0, value: compared },
    { kind: 'verdict', verdict: 'drop' },
  ],
});

test('a rule that the kernel gave back, with bytes, does what the declared one with a number does', () => {
  for (const [set, compared] of [
    [0x4000, 0x4000],
    [markBytes, 0x4000],
    [0x4000, markBytes],
  ] as const) {
    const { verdict, mark } = resultOf(setsAndMatches(set, compared));
    assert.deepEqual({ verdict, mark }, { verdict: 'dropped', mark: 0x4000 });
  }
});
