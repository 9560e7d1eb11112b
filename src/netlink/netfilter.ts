import { be16, enumeration, u8 } from './scalars.js';
import { struct } from './struct.js';

/** include/uapi/linux/netfilter.h: NFPROTO_* */
export const NetfilterFamily = {
  unspecified: 0,
  inet: 1,
  IPv4: 2,
  arp: 3,
  netdev: 5,
  bridge: 7,
  IPv6: 10,
} as const;

/** include/uapi/linux/netfilter/nfnetlink.h: struct nfgenmsg. NFNETLINK_V0 is 0. */
export const netfilterHeader = struct('netfilter', {
  family: enumeration(u8, NetfilterFamily),
  version: u8,
  resource: be16,
});

/** include/uapi/linux/netfilter/nfnetlink.h: NFNL_SUBSYS_* */
export const Subsystem = { conntrack: 1, nftables: 10 } as const;

/** nlmsg_type of a message of a subsystem (NFNL_SUBSYS_ID and NFNL_MSG_TYPE take it apart). */
export const netfilterType = (
  subsystem: (typeof Subsystem)[keyof typeof Subsystem],
  message: number,
): number => (subsystem << 8) | message;
