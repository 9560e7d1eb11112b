import {
  cidrContains,
  familyOf,
  ipFromBytes,
  ipToBytes,
  parseCidr,
  parseIp,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import type { PodTraffic } from '../../model/pod-traffic.js';
import type { Expression, TableDeclaration } from '../../nftables/declarations.js';
import type { PacketSource } from './trace-packet.js';

/** The value of `--from`. */
export interface SourceOption {
  readonly who: 'pod' | 'node' | 'outside' | 'address';
  readonly address: IpAddress | undefined;
}

/** Reads `pod`, `node`, `outside`, an address, or `pod=ADDRESS`, `outside=ADDRESS`; undefined for anything else. */
export const parseSourceOption = (text: string): SourceOption | undefined => {
  const bare = parseIp(text);
  if (bare !== undefined) return { who: 'address', address: bare };
  const [word = '', addressText] = text.split('=', 2);
  const address = parseIp(addressText ?? '');
  if (word !== 'pod' && word !== 'node' && word !== 'outside') return undefined;
  return addressText !== undefined && address === undefined ? undefined : { who: word, address };
};

const prefixLengthOf = (mask: Uint8Array): number =>
  mask.reduce((bits, byte) => bits + byte.toString(2).replaceAll('0', '').length, 0);

const sourceOf = (family: Family, steps: readonly Expression[]): PodTraffic | undefined => {
  const [load, second, third] = steps;
  if (load?.kind !== 'payload' || load.offset !== (family === 'IPv4' ? 12 : 8)) return undefined;
  const compare = second?.kind === 'bitwise' ? third : second;
  if (compare?.kind !== 'compare' || typeof compare.value === 'number') return undefined;
  const mask = second?.kind === 'bitwise' && typeof second.mask !== 'number' ? second.mask : undefined;
  const length = mask === undefined ? compare.value.length * 8 : prefixLengthOf(mask);
  const cidr = parseCidr(`${ipFromBytes(compare.value)}/${length}`);
  return cidr && { by: 'source', cidr };
};

const nameOf = (steps: readonly Expression[]): PodTraffic | undefined => {
  const [load, compare] = steps;
  if (load?.kind !== 'meta' || load.key !== 'iifname') return undefined;
  if (compare?.kind !== 'compare' || typeof compare.value === 'number') return undefined;
  // No zero byte at the end: no interface has such a name.
  if (compare.value.length === 16 && compare.value.at(-1) !== 0) return undefined;
  const name = new TextDecoder().decode(compare.value).replace(/\0+$/, '');
  return compare.value.length === 16 ? { by: 'interface', name } : { by: 'interface-prefix', prefix: name };
};

/** How the packet rules recognize traffic from this node's pods; undefined where they do not. */
export const podTrafficFromRules = ({ family, chains }: TableDeclaration): PodTraffic | undefined => {
  const rules = chains
    .filter(({ name }) => name === 'local-elsewhere' || name === 'cluster-ip')
    .flatMap((chain) => chain.rules);
  for (const { expressions } of rules) {
    const found = sourceOf(family, expressions) ?? nameOf(expressions);
    if (found !== undefined) return found;
  }
  return undefined;
};

/** From the documentation networks of RFC 5737 and RFC 3849. */
const unassignedAddresses: Readonly<Record<Family, IpAddress>> = {
  IPv4: '192.0.2.250' as IpAddress,
  IPv6: '2001:db8::fa' as IpAddress,
};

/** An address near the end of a network, which is rarely in use. */
const addressInside = ({ address, prefixLength }: Cidr): IpAddress => {
  const bytes = ipToBytes(address);
  const last = bytes.length - 1;
  const isRoomy = prefixLength <= bytes.length * 8 - 8;
  bytes[last] = isRoomy ? 250 : (bytes[last] ?? 0) + Number(prefixLength < bytes.length * 8);
  return ipFromBytes(bytes);
};

export interface PacketSourceFacts {
  readonly family: Family;
  readonly podTraffic: PodTraffic | undefined;
  /** Addresses of this machine. */
  readonly isLocal: (address: IpAddress) => boolean;
  /** Whether the pod with this address is on this node; undefined: no such pod is known. */
  readonly isPodLocal: (address: IpAddress) => boolean | undefined;
  /** The only clients admitted from outside; [] where all are. */
  readonly ranges: readonly Cidr[];
}

const interfaceOf = (podTraffic: PodTraffic | undefined): string => {
  if (podTraffic?.by === 'interface') return podTraffic.name;
  return podTraffic?.by === 'interface-prefix' ? podTraffic.prefix : 'pod';
};

const uplink = 'uplink';

const pod = (
  address: IpAddress,
  here: boolean,
  given: boolean,
  { podTraffic }: PacketSourceFacts,
): PacketSource => ({
  who: 'pod',
  address,
  here,
  given,
  interfaceName: here ? interfaceOf(podTraffic) : uplink,
});

const outside = (address: IpAddress, given: boolean): PacketSource => ({
  who: 'outside',
  address,
  here: false,
  given,
  interfaceName: uplink,
});

const node: PacketSource = { who: 'node', address: undefined, here: true, given: false, interfaceName: '' };

const ofAddress = (address: IpAddress, facts: PacketSourceFacts): PacketSource => {
  if (facts.isLocal(address)) return { ...node, given: true };
  const here = facts.isPodLocal(address);
  if (here !== undefined) return pod(address, here, true, facts);
  const { podTraffic } = facts;
  return podTraffic?.by === 'source' && cidrContains(podTraffic.cidr, address)
    ? pod(address, true, true, facts)
    : outside(address, true);
};

/** The source of the packet in one family; undefined where the given address is of the other family. Without a given address, an example address stands for all. */
export const packetSourceFor = (
  { who, address }: SourceOption,
  facts: PacketSourceFacts,
): PacketSource | undefined => {
  const { family, podTraffic, ranges, isPodLocal } = facts;
  if (address !== undefined && familyOf(address) !== family) return undefined;
  if (who === 'node') return node;
  if (address !== undefined) {
    if (who === 'pod') return pod(address, isPodLocal(address) ?? true, true, facts);
    return who === 'outside' ? outside(address, true) : ofAddress(address, facts);
  }
  if (who === 'pod')
    return pod(
      podTraffic?.by === 'source' ? addressInside(podTraffic.cidr) : unassignedAddresses[family],
      true,
      false,
      facts,
    );
  const [range] = ranges;
  return outside(range === undefined ? unassignedAddresses[family] : addressInside(range), false);
};
