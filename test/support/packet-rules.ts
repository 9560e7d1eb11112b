import type { Family, IpAddress } from '../../src/base/ip.js';
import { ipToBytes } from '../../src/base/ip.js';
import {
  setElement,
  type Expression,
  type KeyValue,
  type Rule,
  type SetDeclaration,
  type SetElement,
  type TableDeclaration,
} from '../../src/nftables/declarations.js';

/** Bytes of names and numbers as packets have them. */
export const text = (value: string, length = value.length): Uint8Array => {
  const bytes = new Uint8Array(length);
  new TextEncoder().encodeInto(value, bytes);
  return bytes;
};

const address: Readonly<Record<Family, Readonly<Record<'saddr' | 'daddr', number>>>> = {
  IPv4: { saddr: 12, daddr: 16 },
  IPv6: { saddr: 8, daddr: 24 },
};

/** Steps that load a `. `-joined key into registers from 0 on. */
export const load = (family: Family, ...fields: readonly string[]): readonly Expression[] => {
  let to = 0;
  return fields.flatMap((field): readonly Expression[] => {
    const at = to;
    if (field === 'l4proto') {
      to += 1;
      return [{ kind: 'meta', key: 'l4proto', to: at }];
    }
    if (field === 'sport' || field === 'dport') {
      to += 1;
      return [{ kind: 'payload', base: 'transport', offset: field === 'sport' ? 0 : 2, length: 2, to: at }];
    }
    const length = family === 'IPv4' ? 4 : 16;
    to += length / 4;
    const [name = '', prefix] = field.split('/');
    const loaded: Expression = {
      kind: 'payload',
      base: 'network',
      offset: address[family][name as 'saddr' | 'daddr'],
      length,
      to: at,
    };
    if (prefix === undefined) return [loaded];
    const mask = Uint8Array.from({ length }, (_, byte) => {
      const bits = Math.min(8, Math.max(0, Number(prefix) - byte * 8));
      return 0xff & ~(0xff >> bits);
    });
    return [loaded, { kind: 'bitwise', from: at, to: at, mask, xor: new Uint8Array(length) }];
  });
};

export const vips: SetDeclaration = { name: 'vips', key: ['address'], verdicts: false, comment: 'addresses' };
export const services: SetDeclaration = {
  name: 'services',
  key: ['address', 'protocol', 'port'],
  verdicts: true,
  comment: 'virtual servers',
};
export const sources: SetDeclaration = {
  name: 'sources-24',
  key: ['address', 'protocol', 'port', 'address'],
  verdicts: false,
  comment: '',
};

const rule = (comment: string | undefined, ...expressions: readonly Expression[]): Rule => ({
  expressions,
  comment,
});

export const serviceElement = (
  family: Family,
  fields: readonly KeyValue[],
  chain: string | undefined = 'cluster-ip',
): SetElement => setElement(family, 'services', fields, chain);

export const sampleAddress: Readonly<Record<Family, IpAddress>> = {
  IPv4: '10.96.0.10' as IpAddress,
  IPv6: 'fd00:96::10' as IpAddress,
};

const state: readonly Expression[] = [
  { kind: 'ct', key: 'state', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: 8, xor: 0 },
  { kind: 'compare', operator: '!=', from: 0, value: 0 },
];

const setMark = (mask: number, xor: number): readonly Expression[] => [
  { kind: 'meta', key: 'mark', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask, xor },
  { kind: 'meta-set', key: 'mark', from: 0 },
];

/** A table with every expression that we know, and each rule's words. */
export const everything = (
  family: Family,
): { readonly declaration: TableDeclaration; readonly words: ReadonlyMap<string, readonly string[]> } => {
  const ip = family === 'IPv4' ? 'ip' : 'ip6';
  const vip = sampleAddress[family];
  const saddr24 = family === 'IPv4' ? '255.255.255.0' : 'ffff:ff00::';
  const chains: readonly {
    readonly name: string;
    readonly hook: TableDeclaration['chains'][number]['hook'];
    readonly rules: readonly (readonly [Rule, string])[];
  }[] = [
    {
      name: 'cluster-ip',
      hook: undefined,
      rules: [
        [rule('mark', ...setMark(0xffffbfff, 0x4000)), 'meta mark set meta mark | 0x00004000 comment "mark"'],
        [rule(undefined, ...setMark(0xffffffff, 0x4000)), 'meta mark set meta mark ^ 0x00004000'],
        [rule(undefined, ...setMark(0xffffbfff, 0)), 'meta mark set meta mark & 0xffffbfff'],
        [
          rule(undefined, { kind: 'immediate', to: 0, value: 7 }, { kind: 'meta-set', key: 'mark', from: 0 }),
          'meta mark set 0x00000007',
        ],
        [rule(undefined, { kind: 'verdict', verdict: 'return' }), 'return'],
      ],
    },
    {
      name: 'refuse',
      hook: undefined,
      rules: [
        [
          rule(
            undefined,
            ...load(family, 'l4proto'),
            { kind: 'compare', operator: '==', from: 0, value: Uint8Array.of(6) },
            { kind: 'counter', packets: 0n, bytes: 0n },
            { kind: 'reject', with: 'tcp-reset' },
          ),
          'meta l4proto tcp counter packets 0 bytes 0 reject with tcp reset',
        ],
        [
          rule('no port', { kind: 'reject', with: 'port-unreachable' }),
          `reject with ${family === 'IPv4' ? 'icmp' : 'icmpv6'} port-unreachable comment "no port"`,
        ],
      ],
    },
    {
      name: 'input',
      hook: { type: 'filter', hook: 'input', priority: -10, policy: 'accept' },
      rules: [
        [
          rule('which', ...state, ...load(family, 'daddr', 'l4proto', 'dport'), {
            kind: 'verdict-map',
            set: 'services',
            from: 0,
          }),
          `ct state new ${ip} daddr . meta l4proto . th dport vmap @services comment "which"`,
        ],
        [
          rule(
            'ranges',
            ...load(family, 'daddr', 'l4proto', 'dport', 'saddr/24'),
            { kind: 'lookup', set: 'sources-24', from: 0 },
            { kind: 'verdict', verdict: 'accept' },
          ),
          `${ip} daddr . meta l4proto . th dport . ${ip} saddr & ${saddr24} @sources-24 accept comment "ranges"`,
        ],
        [
          rule(
            undefined,
            ...load(family, 'daddr'),
            { kind: 'lookup', set: 'vips', from: 0, inverted: true },
            { kind: 'verdict', verdict: 'goto', chain: 'refuse' },
          ),
          `${ip} daddr != @vips goto refuse`,
        ],
        [
          rule(
            undefined,
            ...load(family, 'saddr'),
            { kind: 'compare', operator: '!=', from: 0, value: ipToBytes(vip) },
            { kind: 'verdict', verdict: 'jump', chain: 'cluster-ip' },
          ),
          `${ip} saddr != ${vip} jump cluster-ip`,
        ],
        [
          rule(
            undefined,
            { kind: 'meta', key: 'iifname', to: 0 },
            { kind: 'compare', operator: '==', from: 0, value: text('veth') },
            { kind: 'meta', key: 'oifname', to: 0 },
            { kind: 'compare', operator: '!=', from: 0, value: text('eth0', 16) },
            { kind: 'verdict', verdict: 'drop' },
          ),
          'iifname "veth*" oifname != "eth0" drop',
        ],
        [
          rule(
            undefined,
            { kind: 'fib-type', of: 'source', to: 0 },
            { kind: 'compare', operator: '==', from: 0, value: 2 },
            { kind: 'fib-type', of: 'destination', to: 0 },
            { kind: 'compare', operator: '!=', from: 0, value: 2 },
            { kind: 'verdict', verdict: 'continue' },
          ),
          'fib saddr type local fib daddr type != local continue',
        ],
        [
          rule(
            undefined,
            { kind: 'meta', key: 'protocol', to: 0 },
            { kind: 'compare', operator: '!=', from: 0, value: Uint8Array.of(8, 6) },
            { kind: 'meta', key: 'iif', to: 0 },
            { kind: 'compare', operator: '==', from: 0, value: 1 },
            { kind: 'meta', key: 'oif', to: 0 },
            { kind: 'compare', operator: '!=', from: 0, value: 1 },
            { kind: 'ct', key: 'mark', to: 0 },
            { kind: 'compare', operator: '==', from: 0, value: 5 },
            { kind: 'ct', key: 'status', to: 0 },
            { kind: 'bitwise', from: 0, to: 0, mask: 32, xor: 0 },
            { kind: 'compare', operator: '!=', from: 0, value: 0 },
            ...load(family, 'sport'),
            { kind: 'compare', operator: '>=', from: 0, value: Uint8Array.of(4, 0) },
          ),
          'meta protocol != arp iif 1 oif != 1 ct mark 0x00000005 ct status dnat th sport >= 1024',
        ],
      ],
    },
    {
      name: 'pin',
      hook: { type: 'nat', hook: 'prerouting', priority: -105, policy: 'accept' },
      rules: [
        [
          rule(
            undefined,
            ...load(family, 'daddr'),
            { kind: 'lookup', set: 'vips', from: 0 },
            ...load(family, 'daddr'),
            { kind: 'destination-nat', address: 0 },
          ),
          `${ip} daddr @vips dnat to ${ip} daddr`,
        ],
      ],
    },
    {
      name: 'postrouting',
      hook: { type: 'nat', hook: 'postrouting', priority: 95, policy: 'accept' },
      rules: [
        [
          rule(
            'masquerade',
            { kind: 'meta', key: 'mark', to: 0 },
            { kind: 'bitwise', from: 0, to: 0, mask: 0x4000, xor: 0 },
            { kind: 'compare', operator: '==', from: 0, value: 0x4000 },
            ...load(family, 'l4proto'),
            { kind: 'compare', operator: '==', from: 0, value: Uint8Array.of(17) },
            { kind: 'immediate', to: 0, value: Uint8Array.of(0x80, 0) },
            { kind: 'immediate', to: 4, value: Uint8Array.of(0xff, 0xff) },
            { kind: 'masquerade', fullyRandom: true, ports: { from: 0, to: 4 } },
          ),
          'meta mark & 0x00004000 == 0x00004000 meta l4proto udp masquerade to :32768-65535 fully-random comment "masquerade"',
        ],
        [rule(undefined, { kind: 'masquerade', fullyRandom: false, ports: undefined }), 'masquerade'],
      ],
    },
  ];
  return {
    declaration: {
      family,
      name: 'kube-ipvs',
      sets: [services, vips, sources],
      chains: chains.map(({ name, hook, rules }) => ({ name, hook, rules: rules.map(([one]) => one) })),
    },
    words: new Map(chains.map(({ name, rules }) => [name, rules.map(([, words]) => words)])),
  };
};
