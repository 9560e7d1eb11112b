import { familyOf, ipFromBytes, writeIp, type IpAddress } from '../../base/ip.js';
import type { ByteWriter } from './bytes.js';
import { ProtocolError } from '../errors.js';
import { rawBytes, type Codec } from './scalars.js';

const unpadded = rawBytes(4, 16);

const describeBytes = (bytes: Uint8Array): string => {
  if (bytes.length === 16 && bytes.subarray(4).some((byte) => byte !== 0)) return ipFromBytes(bytes);
  return ipFromBytes(bytes.subarray(0, 4));
};

const describe = (view: DataView, offset: number, length: number): string =>
  describeBytes(unpadded.read(view, offset, length));

/** Reused, so that writing an address allocates nothing. */
const scratch = { IPv4: new Uint8Array(4), IPv6: new Uint8Array(16) };

/** Appends the address and returns its length; bytes of another length are a ProtocolError. */
const append = (writer: ByteWriter, value: Uint8Array | IpAddress): number => {
  if (typeof value === 'string') {
    const bytes = scratch[familyOf(value)];
    writeIp(value, bytes);
    writer.bytes(bytes);
    return bytes.length;
  }
  if (value.length !== 4 && value.length !== 16)
    throw new ProtocolError(`an address of ${value.length} bytes`);
  writer.bytes(value);
  return value.length;
};

/** An address in network order, 4 or 16 bytes long. Written from its text or its bytes, read as bytes. */
export const addressBytes: Codec<Uint8Array, Uint8Array | IpAddress> = {
  name: 'address',
  describe,
  read: (view, offset, length) => unpadded.read(view, offset, length),
  write: (writer, value) => {
    append(writer, value);
  },
};

/**
 * union nf_inet_addr: always sent as 16 bytes, an IPv4 address in the first four. Another attribute has the family, so all bytes
 * are read. Traces show an address that ends with twelve zeros as IPv4.
 */
export const paddedAddressBytes: Codec<Uint8Array, Uint8Array | IpAddress> = {
  ...addressBytes,
  write: (writer, value) => {
    const length = append(writer, value);
    if (length < 16) writer.zeros(16 - length);
  },
};
