import { readFileSync } from 'node:fs';
import { familyOf, type IpAddress, writeIp } from '../base/ip.js';

const hexText = (bytes: Iterable<number>): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** As /proc/net/igmp prints it, a number of this machine's byte order: 224.0.0.81 is `510000E0`. */
const igmpText = (address: IpAddress): string => {
  const bytes = new Uint8Array(4);
  writeIp(address, bytes);
  return hexText(bytes.toReversed()).toUpperCase();
};

const igmp6Text = (address: IpAddress): string => {
  const bytes = new Uint8Array(16);
  writeIp(address, bytes);
  return hexText(bytes);
};

/** Parses /proc/net/igmp (net/ipv4/igmp.c: igmp_mc_seq_show): a line for each interface, then one for each of its groups. */
const igmpUsers = (file: string, interfaceName: string, group: string): number => {
  let current = '';
  for (const line of file.split('\n')) {
    const [, name] = /^\d+\s+(\S+?)\s*:/.exec(line) ?? [];
    if (name !== undefined) current = name;
    const [, found, users] = /^\s+([0-9A-F]{8})\s+(\d+)/.exec(line) ?? [];
    if (current === interfaceName && found === group) return Number(users);
  }
  return 0;
};

/** Parses /proc/net/igmp6 (net/ipv6/mcast.c: igmp6_mc_seq_show): a line for each group of an interface. */
const igmp6Users = (file: string, interfaceName: string, group: string): number => {
  for (const line of file.split('\n')) {
    const [, name, found, users] = line.trim().split(/\s+/);
    if (name === interfaceName && found === group) return Number(users);
  }
  return 0;
};

/** How many sockets receive the messages to the multicast address on the interface. 0 where that cannot be read. */
export const multicastReceivers = (
  interfaceName: string,
  address: IpAddress,
  read: (file: string) => string = (file) => readFileSync(file, 'utf8'),
): number => {
  try {
    return familyOf(address) === 'IPv4'
      ? igmpUsers(read('/proc/net/igmp'), interfaceName, igmpText(address))
      : igmp6Users(read('/proc/net/igmp6'), interfaceName, igmp6Text(address));
  } catch {
    return 0;
  }
};
