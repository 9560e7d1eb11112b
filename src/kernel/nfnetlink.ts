import type { Family } from '../base/ip.js';
import { attributes, optional } from '../netlink/codec/attributes.js';
import { MessageShape, type Request } from '../netlink/message.js';
import { be16, be32, enumeration, u8 } from '../netlink/codec/scalars.js';
import { struct } from '../netlink/codec/struct.js';

/** include/uapi/linux/netfilter.h: NFPROTO_* */
const netfilterFamily = enumeration(u8, {
  unspecified: 0,
  inet: 1,
  ip: 2,
  arp: 3,
  netdev: 5,
  bridge: 7,
  ip6: 10,
});
export type NetfilterFamily = keyof typeof netfilterFamily.words;

/** netfilter's and nft's names of the families. */
export const netfilterFamilies: Readonly<Record<Family, 'ip' | 'ip6'>> = { IPv4: 'ip', IPv6: 'ip6' };

/** include/uapi/linux/netfilter/nfnetlink.h: struct nfgenmsg */
export const nfnetlinkHeader = struct('nfnetlink', {
  family: netfilterFamily,
  version: u8,
  resourceId: be16,
});

/** include/uapi/linux/netfilter/nfnetlink.h: NFNL_SUBSYS_* */
export const Subsystem = { conntrack: 1, ipset: 6, nftables: 10 } as const;

/** include/uapi/linux/netfilter/nfnetlink.h: NFNLGRP_* */
export const NetfilterGroup = { nftables: 7 } as const;

/** The netlink message type of a subsystem's command. */
export const messageType = (subsystem: number, command: number): number => (subsystem << 8) | command;

/** include/uapi/linux/netfilter/nfnetlink.h: NFNL_MSG_BATCH_* */
export const BatchMessage = { begin: 16, end: 17 } as const;

const batchAttributes = attributes('batch', { generation: optional(1, be32) });

/** For traces. */
export const batchShapes = {
  [BatchMessage.begin]: new MessageShape('batch-begin', nfnetlinkHeader, batchAttributes),
  [BatchMessage.end]: new MessageShape('batch-end', nfnetlinkHeader, batchAttributes),
};

const frame = (type: 16 | 17, subsystem: number, operation: string): Request => ({
  type,
  flags: 0,
  operation: () => operation,
  shape: batchShapes[type],
  write: (writer) => batchShapes[type].write(writer, { family: 'unspecified', resourceId: subsystem }, {}),
});

/** The messages that begin and end a transaction of a subsystem; `operation` names the transaction in errors. */
export const batchFrame = (
  subsystem: number,
  operation: string,
): { readonly begin: Request; readonly end: Request } => ({
  begin: frame(BatchMessage.begin, subsystem, operation),
  end: frame(BatchMessage.end, subsystem, operation),
});
