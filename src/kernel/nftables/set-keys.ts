import { ipFromBytes, writeIp, type Family, type IpAddress } from '../../base/ip.js';
import type { KeyField, KeyValue } from '../../nftables/declarations.js';
import type { Protocol } from '../../base/protocol.js';
import { registerBytesOf, registerNumberOf } from '../../nftables/register-value.js';
import { align } from '../../netlink/constants.js';
import { ProtocolError } from '../../netlink/errors.js';

/** nft, include/datatype.h: TYPE_*, the numbers by which nft knows how to print a key */
const dataTypes = { IPv4: 7, IPv6: 8, protocol: 12, port: 13, mark: 19 } as const;

/** NFTA_SET_DATA_TYPE of a map of packet marks. */
export const markDataType = dataTypes.mark;
export const markLength = 4;

/** nft, include/datatype.h: TYPE_BITS: the types of a key's fields, one after the other in one number */
const typeBits = 6;

const lengths = { IPv4: 4, IPv6: 16, protocol: 1, port: 2, mark: markLength } as const;

const kindOf = (field: KeyField, family: Family): keyof typeof dataTypes =>
  field === 'address' ? family : field;

/** include/uapi/linux/in.h: IPPROTO_* */
const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const isProtocol = (value: unknown): value is Protocol =>
  typeof value === 'string' && value in protocolNumbers;

/** NFTA_SET_KEY_TYPE */
export const keyType = (key: readonly KeyField[], family: Family): number =>
  key.reduce((sum, field) => sum * (1 << typeBits) + dataTypes[kindOf(field, family)], 0);

/** The reverse; undefined for an unknown field. */
export const keyFromType = (type: number, family: Family): readonly KeyField[] | undefined => {
  const known = new Map<number, KeyField>([
    [dataTypes[family], 'address'],
    [dataTypes.protocol, 'protocol'],
    [dataTypes.port, 'port'],
    [dataTypes.mark, 'mark'],
  ]);
  const fields: KeyField[] = [];
  for (let rest = type; rest > 0; rest = Math.floor(rest / (1 << typeBits))) {
    const field = known.get(rest % (1 << typeBits));
    if (field === undefined) return undefined;
    fields.unshift(field);
  }
  return fields;
};

/** Length of a key: in a concatenation each field takes whole registers, alone it does not. */
export const keyLength = (key: readonly KeyField[], family: Family): number => {
  const [only] = key;
  if (key.length === 1 && only !== undefined) return lengths[kindOf(only, family)];
  return key.reduce((sum, field) => sum + align(lengths[kindOf(field, family)]), 0);
};

/** Why a value does not fit its field; undefined for a valid one. */
const problemOf = (field: KeyField, value: KeyValue | undefined, family: Family): string | undefined => {
  if (field === 'mark')
    return typeof value === 'number' && value === value >>> 0 ? undefined : `${value} is not a valid mark`;
  if (field === 'port')
    return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff
      ? undefined
      : `${value} is not a valid port`;
  if (field === 'protocol')
    return value !== undefined && (isProtocol(value) || (typeof value === 'number' && value <= 0xff))
      ? undefined
      : `${value} is not a valid protocol`;
  return typeof value === 'string' && !isProtocol(value) && value.includes(':') === (family === 'IPv6')
    ? undefined
    : `${value} is not an ${family} address`;
};

/** The bytes of a key. Values that do not fit its fields are a ProtocolError. */
export const keyBytes = (
  key: readonly KeyField[],
  fields: readonly KeyValue[],
  family: Family,
): Uint8Array => {
  if (fields.length !== key.length)
    throw new ProtocolError(`a key of ${key.join(' . ')} has ${key.length} values, here ${fields.length}`);
  const bytes = new Uint8Array(keyLength(key, family));
  let at = 0;
  for (const [index, field] of key.entries()) {
    const value = fields[index];
    const problem = problemOf(field, value, family);
    if (problem !== undefined || value === undefined)
      throw new ProtocolError(problem ?? 'a value is missing');
    const length = lengths[kindOf(field, family)];
    if (field === 'address') writeIp(value as IpAddress, bytes.subarray(at, at + length));
    else if (field === 'mark') bytes.set(registerBytesOf(Number(value)), at);
    else {
      const number = isProtocol(value) ? protocolNumbers[value] : Number(value);
      if (length === 2) bytes[at] = number >> 8;
      bytes[at + length - 1] = number & 0xff;
    }
    at += align(length);
  }
  return bytes;
};

const protocolFrom = (number: number): Protocol | number => {
  for (const [protocol, known] of Object.entries(protocolNumbers))
    if (known === number && isProtocol(protocol)) return protocol;
  return number;
};

/** The reverse. An unknown protocol stays a number. Bytes of another length are a ProtocolError. */
export const fieldsFrom = (
  bytes: Uint8Array,
  key: readonly KeyField[],
  family: Family,
): readonly KeyValue[] => {
  if (bytes.length !== keyLength(key, family))
    throw new ProtocolError(
      `a key of ${key.join(' . ')} has ${keyLength(key, family)} bytes, here ${bytes.length}`,
    );
  let at = 0;
  return key.map((field) => {
    const length = lengths[kindOf(field, family)];
    const value = bytes.subarray(at, at + length);
    at += align(length);
    if (field === 'address') return ipFromBytes(value);
    if (field === 'mark') return registerNumberOf(value);
    const number = value.reduce((sum, byte) => sum * 256 + byte, 0);
    return field === 'protocol' ? protocolFrom(number) : number;
  });
};
