import { cidrFamily, hostPrefixLength, ipToBytes, type Cidr, type Family } from '../../base/ip.js';
import type { PodTraffic } from '../../model/pod-traffic.js';
import type { Expression, Register, RegisterValue } from '../../nftables/declarations.js';

// The expressions of the rules. Compared and looked-up values start at register 0.

/** Both ends are inclusive. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

// include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_BIT(IP_CT_NEW)
const stateNew = 8;
// include/uapi/linux/rtnetlink.h: RTN_LOCAL
const localAddress = 2;
// include/uapi/linux/in.h, in6.h: IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_ICMPV6
export const tcp = Uint8Array.of(6);
export const udp = Uint8Array.of(17);
export const sctp = Uint8Array.of(132);
export const icmp: Readonly<Record<Family, Uint8Array>> = { IPv4: Uint8Array.of(1), IPv6: Uint8Array.of(58) };
const interfaceNameBytes = 16;

/** The offsets of the addresses in a header, and the number of registers of an address. */
export const headerLayout = {
  IPv4: { source: 12, destination: 16, length: 4, registers: 1 },
  IPv6: { source: 8, destination: 24, length: 16, registers: 4 },
} as const;

export const loadAddress = (family: Family, which: 'source' | 'destination', to: Register): Expression => ({
  kind: 'payload',
  base: 'network',
  offset: headerLayout[family][which],
  length: headerLayout[family].length,
  to,
});

export const loadProtocol = (to: Register): Expression => ({ kind: 'meta', key: 'l4proto', to });
export const loadDestinationPort = (to: Register): Expression => ({
  kind: 'payload',
  base: 'transport',
  offset: 2,
  length: 2,
  to,
});
export const equals = (value: RegisterValue, operator: '==' | '!=' = '=='): Expression => ({
  kind: 'compare',
  operator,
  from: 0,
  value,
});
export const inSet = (set: string): Expression => ({ kind: 'lookup', set, from: 0 });
export const goTo = (chain: string): Expression => ({ kind: 'verdict', verdict: 'goto', chain });
export const jumpTo = (chain: string): Expression => ({ kind: 'verdict', verdict: 'jump', chain });
export const acceptVerdict: Expression = { kind: 'verdict', verdict: 'accept' };
export const dropVerdict: Expression = { kind: 'verdict', verdict: 'drop' };
export const returnVerdict: Expression = { kind: 'verdict', verdict: 'return' };
export const counter: Expression = { kind: 'counter', packets: 0n, bytes: 0n };

/** Loads destination . protocol . port, starting at the given register. */
export const loadDestinationKey = (family: Family, from: Register = 0): readonly Expression[] => {
  const next = from + headerLayout[family].registers;
  return [loadAddress(family, 'destination', from), loadProtocol(next), loadDestinationPort(next + 1)];
};

/** Not its replies, such as the reset that refuses it. */
export const firstOfConnection: readonly Expression[] = [
  { kind: 'ct', key: 'state', to: 0 },
  equals(stateNew),
];

export const toThisNode: readonly Expression[] = [
  { kind: 'fib-type', of: 'destination', to: 0 },
  equals(localAddress),
];

/** Matches this share of all packets, between 0 and 1. */
export const randomlyBelow = (share: number): readonly Expression[] => [
  { kind: 'meta', key: 'random', to: 0 },
  { kind: 'compare', operator: '<', from: 0, value: bigEndian(Math.round(share * 2 ** 32)) },
];

export const maskBytes = (family: Family, prefixLength: number): Uint8Array => {
  const bytes = new Uint8Array(headerLayout[family].length);
  for (let bit = 0; bit < prefixLength; bit += 1) {
    const index = bit >> 3;
    bytes[index] = (bytes[index] ?? 0) | (0x80 >> (bit & 7));
  }
  return bytes;
};

const sourceIn = (cidr: Cidr, operator: '==' | '!='): readonly Expression[] => {
  const family = cidrFamily(cidr);
  const source = loadAddress(family, 'source', 0);
  const is = equals(ipToBytes(cidr.address), operator);
  if (cidr.prefixLength === hostPrefixLength(family)) return [source, is];
  const mask = maskBytes(family, cidr.prefixLength);
  return [source, { kind: 'bitwise', from: 0, to: 0, mask, xor: new Uint8Array(mask.length) }, is];
};

/**
 * The first bytes of an interface name. A prefix that fills all bytes never matches, because every name ends
 * with a zero byte.
 */
const namePrefix = (prefix: string): Uint8Array =>
  new TextEncoder().encode(prefix).subarray(0, interfaceNameBytes);

const interfaceName = (name: string): Uint8Array => {
  const bytes = new Uint8Array(interfaceNameBytes);
  bytes.set(namePrefix(name));
  return bytes;
};

const inputInterface = (name: Uint8Array, operator: '==' | '!='): readonly Expression[] => [
  { kind: 'meta', key: 'iifname', to: 0 },
  equals(name, operator),
];

export const fromPod = (pods: PodTraffic, operator: '==' | '!='): readonly Expression[] => {
  switch (pods.by) {
    case 'source':
      return sourceIn(pods.cidr, operator);
    case 'interface':
      return inputInterface(interfaceName(pods.name), operator);
    case 'interface-prefix':
      return inputInterface(namePrefix(pods.prefix), operator);
  }
};

/** Sets or clears the bit: mark = (mark & ~bit) ^ set. */
export const setMark = (bit: number, set: boolean): readonly Expression[] => [
  { kind: 'meta', key: 'mark', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: ~bit >>> 0, xor: set ? bit : 0 },
  { kind: 'meta-set', key: 'mark', from: 0 },
];

export const isMarked = (bit: number): readonly Expression[] => [
  { kind: 'meta', key: 'mark', to: 0 },
  { kind: 'bitwise', from: 0, to: 0, mask: bit, xor: 0 },
  equals(bit),
];

const bigEndian = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);

const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff);

export const masquerade = ({ first, last }: PortRange): readonly Expression[] => [
  { kind: 'immediate', to: 0, value: portBytes(first) },
  { kind: 'immediate', to: 1, value: portBytes(last) },
  { kind: 'masquerade', fullyRandom: true, ports: { from: 0, to: 1 } },
];
