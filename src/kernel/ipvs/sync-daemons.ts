import { familyOf, ipFromBytes } from '../../base/ip.js';
import type { SyncDaemon, SyncRole } from '../../model/sync-daemon.js';
import { addressBytes } from '../../netlink/codec/address-bytes.js';
import { attr, attributes, optional, type Decoded, type Encoded } from '../../netlink/codec/attributes.js';
import { cstring, enumeration, u16, u32, u8 } from '../../netlink/codec/scalars.js';
import { ProtocolError } from '../../netlink/errors.js';

/** include/uapi/linux/ip_vs.h: IP_VS_STATE_MASTER, IP_VS_STATE_BACKUP */
const role = enumeration(u32, { master: 1, backup: 2 });

/** include/uapi/linux/ip_vs.h: IPVS_DAEMON_ATTR_* */
export const syncDaemonAttributes = attributes('daemon', {
  role: attr(1, role),
  interface: optional(2, cstring),
  syncId: optional(3, u32),
  /** IPv4; four bytes. */
  address: optional(5, addressBytes),
  address6: optional(6, addressBytes),
  port: optional(7, u16),
  ttl: optional(8, u8),
});

/** The role alone identifies a daemon in a request to stop it. */
export const syncRoleValues = (role: SyncRole): Encoded<typeof syncDaemonAttributes> => ({ role });

export const syncDaemonValues = (daemon: SyncDaemon): Encoded<typeof syncDaemonAttributes> => ({
  role: daemon.role,
  interface: daemon.interface,
  syncId: daemon.syncId,
  ...(familyOf(daemon.address) === 'IPv4' ? { address: daemon.address } : { address6: daemon.address }),
  port: daemon.port,
  ttl: daemon.ttl,
});

/** net/netfilter/ipvs/ip_vs_sync.c: IP_VS_SYNC_GROUP, IP_VS_SYNC_PORT, which kernels before 4.3 do not report */
const defaultAddress = new Uint8Array([224, 0, 0, 81]);
const defaultPort = 8848;

/** A ProtocolError where an attribute that the kernel always sends is missing. */
export const syncDaemonFrom = (values: Decoded<typeof syncDaemonAttributes>): SyncDaemon => {
  const { role: known, interface: name, syncId, address, address6, port, ttl } = values;
  if ((known !== 'master' && known !== 'backup') || name === undefined || syncId === undefined)
    throw new ProtocolError('is missing or unknown', 'daemon');
  return {
    role: known,
    interface: name,
    syncId,
    address: ipFromBytes(address6 ?? address ?? defaultAddress),
    port: port ?? defaultPort,
    ttl: ttl ?? 1,
  };
};

/** net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_sync.c: what an error number means when a daemon is started. */
export const syncDaemonErrors: Readonly<Record<string, string>> = {
  ENODEV: 'there is no such interface',
  EEXIST: 'such a daemon runs already',
  EINVAL: 'a virtual server has real servers of the other address family',
  EADDRNOTAVAIL: 'the interface has no address',
  ENETUNREACH: 'the interface has no address, or is down',
  EADDRINUSE: 'another program uses the port',
  EPERM: 'this needs CAP_NET_ADMIN',
};
