import { ipFromBytes } from '../base/ip.js';
import { registerNumberOf } from './register-value.js';

export type ValueKind =
  | 'address'
  | 'port'
  | 'protocol'
  | 'ethernet type'
  | 'interface name'
  | 'interface index'
  | 'mark'
  | 'priority'
  | 'state'
  | 'status'
  | 'address type'
  | 'number'
  | 'bytes'
  | 'constant';

/** A value in registers that no expression has used yet. */
export interface LoadedValue {
  /** nft's name of its source, as `ip saddr`. */
  readonly text: string;
  readonly kind: ValueKind;
  /** In bytes. */
  readonly length: number;
  /** (value & mask) ^ xor, after a bitwise expression. */
  readonly bitwise: { readonly mask: Uint8Array; readonly xor: Uint8Array } | undefined;
  /** Only for a constant. */
  readonly value: Uint8Array | undefined;
}

/** How many registers a value of so many bytes takes. */
export const registerCountOf = (length: number): number => Math.ceil(length / 4);

export const hexUint32 = (word: number): string => `0x${(word >>> 0).toString(16).padStart(8, '0')}`;
export const hexBytes = (bytes: Uint8Array): string =>
  `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
export const bigEndian = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

const protocols: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'ipv6-icmp',
  132: 'sctp',
};
const ethernetTypes: Readonly<Record<number, string>> = { 0x0800: 'ip', 0x86dd: 'ip6', 0x0806: 'arp' };
/** include/uapi/linux/rtnetlink.h: RTN_* */
const addressTypes: Readonly<Record<number, string>> = {
  1: 'unicast',
  2: 'local',
  3: 'broadcast',
  4: 'anycast',
  5: 'multicast',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
};
/** include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_*, IPS_* */
const stateBits = { 1: 'invalid', 2: 'established', 4: 'related', 8: 'new', 64: 'untracked' };
const statusBits = {
  1: 'expected',
  2: 'seen-reply',
  4: 'assured',
  8: 'confirmed',
  16: 'snat',
  32: 'dnat',
  512: 'dying',
};

/** `established,related`; undefined where a bit has no name. */
const bitNames = (word: number, names: Readonly<Record<number, string>>): string | undefined => {
  const found: string[] = [];
  let rest = word;
  for (const [bit, name] of Object.entries(names))
    if ((word & Number(bit)) !== 0) {
      found.push(name);
      rest &= ~Number(bit);
    }
  return rest === 0 && found.length > 0 ? found.join(',') : undefined;
};

const quotableName = /^[\w.:@-]+$/;

/** A complete name has sixteen bytes, padded with NULs; a prefix has only its own bytes. */
const interfaceName = (bytes: Uint8Array): string | undefined => {
  const text = String.fromCharCode(...bytes);
  if (bytes.length < 16) return quotableName.test(text) ? `"${text}*"` : undefined;
  const name = text.replace(/\0+$/, '');
  return name.length < 16 && quotableName.test(name) ? `"${name}"` : undefined;
};

/** The text of a constant that is compared with a value of the kind; undefined where it does not fit. */
export const formatValue = (kind: ValueKind, length: number, bytes: Uint8Array): string | undefined => {
  if (kind === 'interface name') return bytes.length <= 16 ? interfaceName(bytes) : undefined;
  if (bytes.length !== length) return undefined;
  switch (kind) {
    case 'address':
      return ipFromBytes(bytes);
    case 'port':
    case 'number':
      return String(bigEndian(bytes));
    case 'protocol':
      return protocols[bigEndian(bytes)] ?? String(bigEndian(bytes));
    case 'ethernet type':
      return ethernetTypes[bigEndian(bytes)] ?? hexBytes(bytes);
    case 'address type':
      return addressTypes[registerNumberOf(bytes)] ?? String(registerNumberOf(bytes));
    case 'interface index':
      return String(registerNumberOf(bytes));
    case 'mark':
    case 'priority':
    case 'state':
    case 'status':
      return hexUint32(registerNumberOf(bytes));
    case 'bytes':
      return hexBytes(bytes);
    case 'constant':
      return undefined;
  }
};

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** The prefix length of a mask; undefined for a mask with holes. */
const prefixLength = (mask: Uint8Array): number | undefined => {
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits) ? bits.replace(/0+$/, '').length : undefined;
};

/** A loaded value as an operand; undefined where nft's syntax cannot express it. */
export const operandText = ({ text, kind, length, bitwise }: LoadedValue): string | undefined => {
  if (kind === 'constant') return undefined;
  if (bitwise === undefined) return text;
  const mask = isZero(bitwise.xor) ? formatValue(kind, length, bitwise.mask) : undefined;
  return mask === undefined || kind === 'interface name' ? undefined : `${text} & ${mask}`;
};

export const comparisonText = (
  held: LoadedValue,
  operator: string,
  value: Uint8Array,
): string | undefined => {
  const { text, kind, length, bitwise } = held;
  const sign = operator === '==' ? '' : `${operator} `;
  const right = formatValue(kind, length, value);
  if (right === undefined) return undefined;
  if (bitwise === undefined) return kind === 'constant' ? undefined : `${text} ${sign}${right}`;
  if (!isZero(bitwise.xor)) return undefined;
  const names = { state: stateBits, status: statusBits }[kind as string];
  if (names !== undefined && operator === '!=' && isZero(value)) {
    const bits = bitNames(registerNumberOf(bitwise.mask), names);
    if (bits !== undefined) return `${text} ${bits}`;
  }
  const prefix = kind === 'address' ? prefixLength(bitwise.mask) : undefined;
  const inside = value.every((byte, index) => (byte & ~(bitwise.mask[index] ?? 0)) === 0);
  if (prefix !== undefined && inside && (operator === '==' || operator === '!='))
    return `${text} ${sign}${right}/${prefix}`;
  const left = operandText(held);
  return left === undefined ? undefined : `${left} ${operator} ${right}`;
};

/** The value that a mark is set to. */
export const markValueText = ({ text, kind, length, bitwise, value }: LoadedValue): string | undefined => {
  if (length !== 4) return undefined;
  if (value !== undefined) return bitwise === undefined ? hexUint32(registerNumberOf(value)) : undefined;
  if (kind !== 'mark') return undefined;
  if (bitwise === undefined) return text;
  const [mask, xor] = [registerNumberOf(bitwise.mask), registerNumberOf(bitwise.xor)];
  if (xor === 0) return `${text} & ${hexUint32(mask)}`;
  if (mask === ~xor >>> 0) return `${text} | ${hexUint32(xor)}`;
  if (mask === 0xffffffff) return `${text} ^ ${hexUint32(xor)}`;
  return `(${text} & ${hexUint32(mask)}) ^ ${hexUint32(xor)}`;
};
