import ipaddr from 'ipaddr.js';
import type { Brand } from './brand.js';
import { BaseError } from './errors.js';

/** Canonical text: IPv4 as four decimals, IPv6 as in RFC 5952. Equal addresses are equal strings. */
export type IpAddress = Brand<string, 'IpAddress'>;

export type Family = 'IPv4' | 'IPv6';
export const families: readonly Family[] = ['IPv4', 'IPv6'];

/** A network: host bits are zero. `text` is canonical, as `10.0.0.0/8`. */
export interface Cidr {
  readonly text: string;
  readonly address: IpAddress;
  readonly prefixLength: number;
}

const octet = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`;
const canonicalIpv4 = new RegExp(String.raw`^${octet}\.${octet}\.${octet}\.${octet}$`);
const decimalQuad = /^\d{1,3}(\.\d{1,3}){3}$/;

const parseIpv4 = (text: string): IpAddress | undefined => {
  if (canonicalIpv4.test(text)) return text as IpAddress;
  if (!decimalQuad.test(text)) return undefined;
  const octets = text.split('.').map(Number);
  return octets.some((value) => value > 255) ? undefined : (octets.join('.') as IpAddress);
};

const parseIpv6 = (text: string): IpAddress | undefined => {
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.IPv6.parse(text);
  // Go, and so Kubernetes, reads an IPv4-mapped address as the IPv4 address in it.
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().toString() as IpAddress;
  return address.toRFC5952String() as IpAddress;
};

/** Parses as kube-proxy does: IPv4 octets with leading zeros are decimal, zones are refused. Undefined for an invalid address. */
export const parseIp = (text: string): IpAddress | undefined => parseIpv4(text) ?? parseIpv6(text);

export const familyOf = (address: IpAddress): Family => (address.includes(':') ? 'IPv6' : 'IPv4');

/** 32 or 128: the prefix length of a single address of the family. */
export const hostPrefixLength = (family: Family): number => (family === 'IPv4' ? 32 : 128);

const zero = 48;
const colon = 58;
const lowerA = 97;

const ipv4ToBytes = (address: string, bytes: Uint8Array): void => {
  let at = 0;
  let octet = 0;
  for (let index = 0; index < address.length; index += 1) {
    const code = address.charCodeAt(index);
    if (code >= zero) octet = octet * 10 + code - zero;
    else {
      bytes[at] = octet;
      at += 1;
      octet = 0;
    }
  }
  bytes[at] = octet;
};

/** Canonical text has lower-case hexadecimal groups, `::` at most once, and no embedded IPv4 address. */
const ipv6ToBytes = (address: string, bytes: Uint8Array): void => {
  let at = 0;
  let gap = -1;
  let group = 0;
  for (let index = 0; index <= address.length; index += 1) {
    const code = index === address.length ? colon : address.charCodeAt(index);
    if (code !== colon) {
      group = (group << 4) | (code >= lowerA ? code - lowerA + 10 : code - zero);
      continue;
    }
    if (index > 0 && address.charCodeAt(index - 1) !== colon) {
      bytes[at] = group >> 8;
      bytes[at + 1] = group & 0xff;
      at += 2;
    }
    group = 0;
    if (address.charCodeAt(index + 1) === colon) gap = at;
  }
  if (gap !== -1) bytes.copyWithin(16 - (at - gap), gap, at).fill(0, gap, 16 - (at - gap));
};

/** Writes an address in network order into 4 or 16 bytes, as its family needs. Relies on the canonical form. */
export const writeIp = (address: IpAddress, bytes: Uint8Array): void => {
  if (familyOf(address) === 'IPv4') ipv4ToBytes(address, bytes);
  else ipv6ToBytes(address, bytes);
};

/** 4 or 16 bytes in network order. */
export const ipToBytes = (address: IpAddress): Uint8Array => {
  const bytes = new Uint8Array(familyOf(address) === 'IPv4' ? 4 : 16);
  writeIp(address, bytes);
  return bytes;
};

const groups = 8;
const groupAt = (bytes: Uint8Array, index: number): number =>
  ((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0);

/** The first of the longest runs of zero groups, if it has two or more (RFC 5952, 4.2). */
const longestGap = (bytes: Uint8Array): { readonly start: number; readonly end: number } => {
  let [start, end] = [groups, groups];
  for (let index = 0; index < groups; index += 1) {
    let after = index;
    while (after < groups && groupAt(bytes, after) === 0) after += 1;
    if (after - index >= 2 && after - index > end - start) [start, end] = [index, after];
    index = Math.max(index, after - 1);
  }
  return { start, end };
};

const groupsText = (bytes: Uint8Array, start: number, end: number): string => {
  let text = '';
  for (let index = start; index < end; index += 1)
    text += `${index === start ? '' : ':'}${groupAt(bytes, index).toString(16)}`;
  return text;
};

/** ::ffff:a.b.c.d stays an IPv6 address, as the kernel has it. */
const ipv6FromBytes = (bytes: Uint8Array): string => {
  const { start, end } = longestGap(bytes);
  const head = groupsText(bytes, 0, start);
  return start === end ? head : `${head}::${groupsText(bytes, end, groups)}`;
};

const ipv4Text = (first: number, second: number, third: number, fourth: number): IpAddress =>
  `${first}.${second}.${third}.${fourth}` as IpAddress;

/** From the bytes of a view in network order. */
export const ipFromView = (view: DataView, at: number, family: Family): IpAddress =>
  family === 'IPv4'
    ? ipv4Text(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3))
    : (ipv6FromBytes(new Uint8Array(view.buffer, view.byteOffset + at, 16)) as IpAddress);

/** From 4 or 16 bytes in network order; any other length is a BaseError. */
export const ipFromBytes = (bytes: Uint8Array): IpAddress => {
  const [first = 0, second = 0, third = 0, fourth = 0] = bytes;
  if (bytes.length === 4) return ipv4Text(first, second, third, fourth);
  if (bytes.length !== 16) throw new BaseError(`an IP address of ${bytes.length} bytes`);
  return ipv6FromBytes(bytes) as IpAddress;
};

const maskTo = (bytes: Uint8Array, prefixLength: number): Uint8Array =>
  bytes.map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, prefixLength - index * 8))));

/** Parses `ADDRESS/LENGTH`; host bits are masked off as Go does. Undefined for an invalid CIDR. */
export const parseCidr = (text: string): Cidr | undefined => {
  const [host, length, ...rest] = text.split('/');
  if (host === undefined || length === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length))
    return undefined;
  const address = parseIp(host);
  const prefixLength = Number(length);
  if (address === undefined || prefixLength > hostPrefixLength(familyOf(address))) return undefined;
  const network = ipFromBytes(maskTo(ipToBytes(address), prefixLength));
  return { text: `${network}/${prefixLength}`, address: network, prefixLength };
};

export const cidrFamily = (cidr: Cidr): Family => familyOf(cidr.address);

export const cidrContains = (cidr: Cidr, address: IpAddress): boolean => {
  if (cidrFamily(cidr) !== familyOf(address)) return false;
  if (cidr.prefixLength === 0) return true;
  return ipFromBytes(maskTo(ipToBytes(address), cidr.prefixLength)) === cidr.address;
};

export const isUnspecified = (address: IpAddress): boolean => address === '0.0.0.0' || address === '::';
export const isLoopback = (address: IpAddress): boolean => address === '::1' || address.startsWith('127.');
export const isIpv6LinkLocal = (address: IpAddress): boolean => /^fe[89ab][0-9a-f]:/.test(address);

/** Whether it can be the address of one host: not unspecified, multicast or broadcast. */
export const isHostAddress = (address: IpAddress): boolean =>
  !(address === '::' || /^(0\.|22[4-9]\.|23\d\.|255\.255\.255\.255$|ff[0-9a-f]{2}:)/.test(address));

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export const formatSocketAddress = (address: IpAddress, port: number): string =>
  familyOf(address) === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
