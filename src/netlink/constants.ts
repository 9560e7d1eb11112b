/** include/uapi/linux/netlink.h: NETLINK_* */
export const Protocol = { route: 0, netfilter: 12, generic: 16 } as const;
export type ProtocolName = keyof typeof Protocol;

/** include/uapi/linux/netlink.h: NLMSG_*; a family's own types begin at 16. */
export const MessageType = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

/** include/uapi/linux/netlink.h: NLM_F_*. The bits from 0x100 on mean different things in requests and in answers. */
export const MessageFlag = {
  request: 0x1,
  multi: 0x2,
  acknowledge: 0x4,
  echo: 0x8,
  dumpInterrupted: 0x10,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  dump: 0x300,
} as const;

/** include/uapi/linux/netlink.h: NLM_F_CAPPED and NLM_F_ACK_TLVS, on NLMSG_ERROR and NLMSG_DONE. */
export const AcknowledgementFlag = { capped: 0x100, attributes: 0x200 } as const;

/** include/uapi/linux/netlink.h: NLA_F_* and NLA_TYPE_MASK. */
export const AttributeBits = { nested: 0x8000, networkOrder: 0x4000, typeMask: 0x3fff } as const;

/** sizeof(struct nlmsghdr) and sizeof(struct nlattr) */
export const messageHeaderLength = 16;
export const attributeHeaderLength = 4;

/** include/uapi/asm-generic/socket.h: SOL_SOCKET and SO_* */
export const SocketLevel = { socket: 1, netlink: 270 } as const;
export const SocketOption = {
  sendBuffer: 7,
  receiveBuffer: 8,
  peerCredentials: 17,
  sendBufferForce: 32,
  receiveBufferForce: 33,
  protocol: 38,
} as const;

/** include/uapi/linux/netlink.h: NETLINK_*, options of the level SOL_NETLINK */
export const NetlinkOption = {
  noOverrunErrors: 5,
  cappedAcknowledgements: 10,
  extendedAcknowledgements: 11,
  strictChecking: 12,
} as const;

/** include/uapi/asm-generic/socket.h and linux/socket.h: AF_* */
export const AddressFamily = { unspecified: 0, IPv4: 2, IPv6: 10 } as const;

/** Netlink uses the machine's byte order, except for codecs named be16, be32 and be64. */
export const hostIsLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** NLMSG_ALIGN and NLA_ALIGN: up to the next multiple of four. */
export const align = (length: number): number => length + (-length & 3);
