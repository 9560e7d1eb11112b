import { readdirSync } from 'node:fs';
import { nativeShims } from '../../native-shims/index.js';
import { SocketLevel, SocketOption } from './constants.js';
import { errnoOf } from './errors.js';

const isNetlinkSocket = (descriptor: number, protocol: number, portId: number): boolean => {
  const shims = nativeShims();
  try {
    return (
      shims.portId(descriptor) === portId &&
      shims.getOption(descriptor, SocketLevel.socket, SocketOption.protocol) === protocol
    );
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
};

/** The descriptor of this process's netlink socket of the protocol (NETLINK_*) with that port id; undefined where none has it. */
export const socketDescriptor = (protocol: number, portId: number): number | undefined =>
  readdirSync('/proc/self/fd')
    .map(Number)
    .find((descriptor) => isNetlinkSocket(descriptor, protocol, portId));
