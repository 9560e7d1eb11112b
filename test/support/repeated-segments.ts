import type { Socket } from 'node:net';
import { nativeShims } from '../../native-shims/index.js';
import { hostIsLittleEndian } from '../../src/netlink/constants.js';

/** include/uapi/linux/tcp.h: TCP_INFO of IPPROTO_TCP, and where struct tcp_info has tcpi_total_retrans. */
const tcp = 6;
const tcpInfo = 11;
const totalRetransmissionsOffset = 100;

/**
 * How many segments of a connected socket the kernel has sent again, its first one included. Unlike the time that a request takes, it
 * does not depend on how busy the machine is.
 */
export const repeatedSegments = (socket: Socket): number => {
  // Node.js has no public name for it.
  const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle;
  const bytes = new Uint8Array(totalRetransmissionsOffset + 4);
  nativeShims().readOption(fd, tcp, tcpInfo, bytes);
  return new DataView(bytes.buffer).getUint32(totalRetransmissionsOffset, hostIsLittleEndian);
};
