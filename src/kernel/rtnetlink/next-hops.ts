import { attributes, received } from '../../netlink/codec/attributes.js';
import { addressBytes } from '../../netlink/codec/address-bytes.js';
import { align, hostIsLittleEndian } from '../../netlink/constants.js';
import { ProtocolError } from '../../netlink/errors.js';
import { rawBytes, type Codec } from '../../netlink/codec/scalars.js';

/** A next hop: `gateway` of the route's family, or `via`, a struct rtvia, of the other family. */
export interface NextHop {
  readonly gateway?: Uint8Array;
  readonly via?: Uint8Array;
}

/** sizeof(struct rtnexthop): its length with its attributes, flags, hops, interface. */
const headerLength = 8;

const nextHopAttributes = attributes('next-hop', {
  gateway: received(5, addressBytes),
  via: received(18, rawBytes(2, 34)),
});

/** RTA_MULTIPATH: one struct rtnexthop with its attributes after the other (include/uapi/linux/rtnetlink.h). */
export const nextHops: Codec<readonly NextHop[]> = {
  name: 'next-hops',
  write: () => {
    throw new ProtocolError('is never sent');
  },
  read: (view, offset, length) => {
    const found: NextHop[] = [];
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const size = end - at < headerLength ? 0 : view.getUint16(at, hostIsLittleEndian);
      if (size < headerLength || at + size > end)
        throw new ProtocolError(`a next hop has a length of ${size} bytes, but ${end - at} are left`);
      found.push(nextHopAttributes.read(view, at + headerLength, size - headerLength));
      at += align(size);
    }
    return found;
  },
  describe: (view, offset, length) => `${nextHops.read(view, offset, length).length} next hops`,
};
