import { fnv1a } from '../base/fnv.js';
import { ipFromBytes, type IpAddress } from '../base/ip.js';

/** The master sends the connections of this node, the backup receives those of other nodes. */
export const syncRoles = ['master', 'backup'] as const;
export type SyncRole = (typeof syncRoles)[number];

/** A thread of the kernel that synchronizes connections (include/uapi/linux/ip_vs.h: IPVS_DAEMON_ATTR_*). */
export interface SyncDaemon {
  readonly role: SyncRole;
  readonly interface: string;
  /** The nodes with the same number synchronize with each other; a backup with 0 accepts every number. */
  readonly syncId: number;
  /** The multicast address that messages have. */
  readonly address: IpAddress;
  /** UDP. */
  readonly port: number;
  readonly ttl: number;
}

/** `master on eth1, group 7, 239.255.73.80:8848`. */
export const formatSyncDaemon = ({ role, interface: name, syncId, address, port }: SyncDaemon): string =>
  `${role} on ${name}, group ${syncId}, ${address.includes(':') ? `[${address}]` : address}:${port}`;

/** Whether both have the same settings. */
export const isSameSyncDaemon = (a: SyncDaemon, b: SyncDaemon): boolean =>
  a.role === b.role &&
  a.interface === b.interface &&
  a.syncId === b.syncId &&
  a.address === b.address &&
  a.port === b.port &&
  a.ttl === b.ttl;

/** The addresses to which the master of an instance sends. No other program uses them: they tell its daemons from foreign ones. */
export interface SyncAddresses {
  readonly IPv4: IpAddress;
  readonly IPv6: IpAddress;
}

/** 239.192.0.0/14 is the organization-local scope of RFC 2365; ff15::/16 are temporary site-local addresses (RFC 4291). */
const addressesFor = (number: number): SyncAddresses => ({
  IPv4: ipFromBytes(new Uint8Array([239, 192 + ((number >>> 16) & 3), (number >>> 8) & 255, number & 255])),
  IPv6: ipFromBytes(new Uint8Array([0xff, 0x15, ...Array<number>(10).fill(0), ...uint32(number)])),
});

const uint32 = (number: number): readonly number[] => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);

const numberOfDefaultInstance = 0x4950; // "IP"

/** The addresses of the instance with this serviceProxyName. */
export const syncAddresses = (serviceProxyName: string): SyncAddresses =>
  addressesFor(
    serviceProxyName === '' ? numberOfDefaultInstance : fnv1a(new TextEncoder().encode(serviceProxyName)),
  );

/** Whether the daemon is one of the instance. */
export const isOwnSyncDaemon = ({ address }: SyncDaemon, own: SyncAddresses): boolean =>
  address === own.IPv4 || address === own.IPv6;
