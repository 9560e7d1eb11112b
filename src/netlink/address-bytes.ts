import { ipFromBytes } from '../base/ip.js';
import { ProtocolError } from './errors.js';
import { rawBytes, type Codec } from './scalars.js';

const unpadded = rawBytes(4, 16);

const describeBytes = (bytes: Uint8Array): string => {
  if (bytes.length === 16 && bytes.subarray(4).some((byte) => byte !== 0)) return ipFromBytes(bytes);
  return ipFromBytes(bytes.subarray(0, 4));
};

const describe = (view: DataView, offset: number, length: number): string =>
  describeBytes(unpadded.read(view, offset, length));

/** An address in network order, 4 or 16 bytes long. */
export const addressBytes: Codec<Uint8Array> = { ...unpadded, describe };

/**
 * union nf_inet_addr: an address in network order, always sent as 16 bytes; IPv4 is in the first four. Which it is
 * another attribute says, so all bytes are read. Traces take one with twelve zeros at its end for IPv4.
 */
export const paddedAddressBytes: Codec<Uint8Array> = {
  ...unpadded,
  name: 'address',
  describe,
  write: (writer, value) => {
    if (value.length !== 4 && value.length !== 16)
      throw new ProtocolError(`an address of ${value.length} bytes`);
    writer.bytes(value);
    writer.zeros(16 - value.length);
  },
};
