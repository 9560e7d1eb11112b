import { attr, attributes, optional, received } from '../../netlink/codec/attributes.js';
import { addressBytes } from '../../netlink/codec/address-bytes.js';
import { MessageShape, type Message } from '../../netlink/message.js';
import { be16, be32, enumeration, u32, u8 } from '../../netlink/codec/scalars.js';
import { messageType, nfnetlinkHeader, Subsystem } from '../nfnetlink.js';

/** include/uapi/linux/netfilter/nfnetlink_conntrack.h: IPCTNL_MSG_CT_* */
export const ConntrackMessage = {
  new: messageType(Subsystem.conntrack, 0),
  get: messageType(Subsystem.conntrack, 1),
  delete: messageType(Subsystem.conntrack, 2),
} as const;

/** include/uapi/linux/in.h: IPPROTO_*, those that IPVS serves */
export const transport = enumeration(u8, { TCP: 6, UDP: 17, SCTP: 132 });

/** include/uapi/linux/netfilter/nfnetlink_conntrack.h: CTA_IP_* */
const tupleAddresses = attributes('addresses', {
  source4: optional(1, addressBytes),
  destination4: optional(2, addressBytes),
  source6: optional(3, addressBytes),
  destination6: optional(4, addressBytes),
});

/** include/uapi/linux/netfilter/nfnetlink_conntrack.h: CTA_PROTO_*. ICMP has others in the place of ports. */
const tupleProtocol = attributes('protocol', {
  number: attr(1, transport),
  sourcePort: optional(2, be16),
  destinationPort: optional(3, be16),
});

/** include/uapi/linux/netfilter/nfnetlink_conntrack.h: CTA_TUPLE_* */
const tuple = attributes('tuple', {
  addresses: optional(1, tupleAddresses),
  protocol: attr(2, tupleProtocol),
});

/** include/uapi/linux/netfilter/nfnetlink_conntrack.h: CTA_FILTER_*: which parts of the given tuples count; since 5.8 */
const filter = attributes('filter', { original: attr(1, u32), reply: attr(2, u32) });

/** net/netfilter/nf_internals.h: CTA_FILTER_F_* */
export const FilterBit = { destination: 1 << 1, protocol: 1 << 3, destinationPort: 1 << 5 } as const;

/** include/uapi/linux/netfilter/nfnetlink_conntrack.h: CTA_*. A message that deletes without `original` empties the whole table. */
const flowAttributes = attributes('flow', {
  original: attr(1, tuple),
  reply: received(2, tuple),
  id: optional(12, be32),
  zone: optional(18, be16),
  filter: optional(25, filter),
});

export const flowShape = new MessageShape('flow', nfnetlinkHeader, flowAttributes);

const named = {
  [ConntrackMessage.new]: new MessageShape('new-flow', nfnetlinkHeader, flowAttributes),
  [ConntrackMessage.get]: new MessageShape('get-flow', nfnetlinkHeader, flowAttributes),
  [ConntrackMessage.delete]: new MessageShape('delete-flow', nfnetlinkHeader, flowAttributes),
};

/** For traces. */
export const conntrackShapeOf = (message: Message): (typeof named)[number] | undefined => named[message.type];
