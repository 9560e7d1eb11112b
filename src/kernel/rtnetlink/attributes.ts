import { attributes, optional, received } from '../../netlink/codec/attributes.js';
import { addressBytes } from '../../netlink/codec/address-bytes.js';
import { AddressFamily } from '../../netlink/constants.js';
import { MessageShape, type Message } from '../../netlink/message.js';
import { cstring, enumeration, rawBytes, s32, u16, u32, u8 } from '../../netlink/codec/scalars.js';
import { struct } from '../../netlink/codec/struct.js';
import { nextHops } from './next-hops.js';

/** include/uapi/linux/rtnetlink.h: RTM_* */
export const RouteMessage = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
} as const;

/** include/uapi/linux/rtnetlink.h: RTNLGRP_* */
export const RouteGroup = {
  link: 1,
  ipv4Address: 5,
  ipv4Route: 7,
  ipv6Address: 9,
  ipv6Route: 11,
} as const;

/** include/uapi/linux/rtnetlink.h: RT_TABLE_LOCAL and RT_SCOPE_HOST */
export const localTable = 255;
export const hostScope = 254;

/** include/uapi/linux/if.h: IFF_UP */
export const linkIsUp = 0x1;

/** include/uapi/linux/rtnetlink.h: RTEXT_FILTER_SKIP_STATS, for IFLA_EXT_MASK */
export const withoutStatistics = 0x8;

const addressFamily = enumeration(u8, AddressFamily);

/** include/uapi/linux/rtnetlink.h: struct ifinfomsg */
export const linkHeader = struct('link', {
  family: addressFamily,
  _padding: u8,
  type: u16,
  index: s32,
  flags: u32,
  change: u32,
});

/** include/uapi/linux/if_link.h: IFLA_INFO_* */
const linkInformation = attributes('link-information', { kind: optional(1, cstring) });

/** include/uapi/linux/if_link.h: IFLA_* */
export const linkAttributes = attributes('link', {
  name: optional(3, cstring),
  mtu: received(4, u32),
  transmitQueueLength: optional(13, u32),
  information: optional(18, linkInformation),
  filter: optional(29, u32),
});

/** include/uapi/linux/if_addr.h: struct ifaddrmsg */
export const addressHeader = struct('address', {
  family: addressFamily,
  prefixLength: u8,
  flags: u8,
  scope: u8,
  index: u32,
});

/** Offsets in struct ifaddrmsg. */
export const prefixLengthOffset = 1;
export const interfaceIndexOffset = 4;

/** include/uapi/linux/if_addr.h: IFA_*. `local` is the interface's own address where `address` is the other end's. */
export const addressAttributes = attributes('address', {
  local: optional(2, addressBytes),
  address: optional(1, addressBytes),
  label: received(3, cstring),
  flags: received(8, u32),
});

/** include/uapi/linux/rtnetlink.h: RTN_*, as `ip route` names them */
const routeTypes = {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;

export type RouteType = keyof typeof routeTypes;

/** include/uapi/linux/rtnetlink.h: struct rtmsg */
export const routeHeader = struct('route', {
  family: addressFamily,
  destinationLength: u8,
  sourceLength: u8,
  _typeOfService: u8,
  table: u8,
  protocol: u8,
  scope: u8,
  type: enumeration(u8, routeTypes),
  flags: u32,
});

/** Offsets in struct rtmsg. */
export const routeTableOffset = 4;
export const routeProtocolOffset = 5;

/** include/uapi/linux/rtnetlink.h: RTA_*. `via` is a gateway of the other family: a struct rtvia. */
export const routeAttributes = attributes('route', {
  destination: optional(1, addressBytes),
  outgoingInterface: optional(4, u32),
  gateway: received(5, addressBytes),
  priority: optional(6, u32),
  nextHops: received(9, nextHops),
  via: received(18, rawBytes(2, 34)),
});

export const linkShape = new MessageShape('link', linkHeader, linkAttributes);
export const addressShape = new MessageShape('address', addressHeader, addressAttributes);
export const routeShape = new MessageShape('route', routeHeader, routeAttributes);

const named = {
  [RouteMessage.newLink]: new MessageShape('new-link', linkHeader, linkAttributes),
  [RouteMessage.deleteLink]: new MessageShape('delete-link', linkHeader, linkAttributes),
  [RouteMessage.getLink]: new MessageShape('get-link', linkHeader, linkAttributes),
  [RouteMessage.newAddress]: new MessageShape('new-address', addressHeader, addressAttributes),
  [RouteMessage.deleteAddress]: new MessageShape('delete-address', addressHeader, addressAttributes),
  [RouteMessage.getAddress]: new MessageShape('get-address', addressHeader, addressAttributes),
  [RouteMessage.newRoute]: new MessageShape('new-route', routeHeader, routeAttributes),
  [RouteMessage.deleteRoute]: new MessageShape('delete-route', routeHeader, routeAttributes),
  [RouteMessage.getRoute]: new MessageShape('get-route', routeHeader, routeAttributes),
};

/** For traces. */
export const routeShapeOf = (message: Message): (typeof named)[keyof typeof named] | undefined =>
  named[message.type as keyof typeof named];
