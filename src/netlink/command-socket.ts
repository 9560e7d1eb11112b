import { constants } from 'node:os';
import { nativeShims } from '../../native-shims/index.js';
import { NetlinkOption, SocketLevel, SocketOption } from './constants.js';
import { errnoOf, fromSystemCall, NetlinkError } from './errors.js';

const setBufferSize = (descriptor: number, force: number, plain: number, bytes: number): void => {
  const shims = nativeShims();
  try {
    shims.setOption(descriptor, SocketLevel.socket, force, bytes);
  } catch {
    // Without CAP_NET_ADMIN net.core.{r,w}mem_max applies; it only makes batches smaller.
    shims.setOption(descriptor, SocketLevel.socket, plain, bytes);
  }
};

/** Sets the receive buffer, beyond net.core.rmem_max with CAP_NET_ADMIN, and returns the size that the kernel chose. */
export const setReceiveBuffer = (descriptor: number, bytes: number): number => {
  setBufferSize(descriptor, SocketOption.receiveBufferForce, SocketOption.receiveBuffer, bytes);
  return nativeShims().getOption(descriptor, SocketLevel.socket, SocketOption.receiveBuffer);
};

/** The same for the send buffer, which bounds the length of a datagram. */
const setSendBuffer = (descriptor: number, bytes: number): number => {
  setBufferSize(descriptor, SocketOption.sendBufferForce, SocketOption.sendBuffer, bytes);
  return nativeShims().getOption(descriptor, SocketLevel.socket, SocketOption.sendBuffer);
};

/** net/netlink/af_netlink.c: netlink_sendmsg takes datagrams that are 32 bytes shorter than the send buffer. */
const datagramOverhead = 32;

/** An overrun then only counts dropped datagrams; the socket reports no error. */
export const disableOverrunErrors = (descriptor: number): void =>
  nativeShims().setOption(descriptor, SocketLevel.netlink, NetlinkOption.noOverrunErrors, 1);

/**
 * Requires the options that the connection depends on (overruns that are counted; acknowledgements short enough that those of a
 * full datagram fit the receive buffer). Kernels before 4.12 and 4.20 lack the other two (ENOPROTOOPT): errors then have no text.
 */
export const setConnectionOptions = (setOption: (option: number) => void): void => {
  setOption(NetlinkOption.noOverrunErrors);
  setOption(NetlinkOption.cappedAcknowledgements);
  for (const option of [NetlinkOption.extendedAcknowledgements, NetlinkOption.strictChecking])
    try {
      setOption(option);
    } catch (error) {
      if (errnoOf(error) !== constants.errno.ENOPROTOOPT) throw error;
    }
};

/** The part of a socket that a connection uses. */
export interface CommandChannel {
  readonly receiveBufferBytes: number;
  /** The kernel's address of the socket. Notifications of changes that were requested here carry it. */
  readonly portId: number;
  /** Datagrams that the kernel dropped since the socket was opened, because the receive buffer was full. */
  readonly dropped: number;
  /** Sends one datagram, with CAP_NET_ADMIN of any length; a NetlinkError where the kernel did not take it. */
  send(datagram: Uint8Array): void;
  /** The length of the next datagram, larger than the buffer if it was truncated; undefined where none is queued. */
  receive(buffer: Uint8Array): number | undefined;
  close(): void;
}

/**
 * A netlink socket for commands. The kernel executes a datagram within `send` and has queued every reply when it returns, except
 * the later parts of a dump, which it queues as the earlier ones are received. So no method waits.
 */
export class CommandSocket implements CommandChannel {
  readonly receiveBufferBytes: number;
  readonly portId: number;
  #descriptor: number | undefined;
  #sendBufferBytes: number;

  /** A NetlinkError with the errno of the system call that failed. */
  constructor(
    readonly protocol: number,
    bufferBytes: number,
  ) {
    const shims = nativeShims();
    try {
      const descriptor = shims.openSocket(protocol);
      this.#descriptor = descriptor;
      setConnectionOptions((option) => shims.setOption(descriptor, SocketLevel.netlink, option, 1));
      this.#sendBufferBytes = setSendBuffer(descriptor, bufferBytes);
      this.receiveBufferBytes = setReceiveBuffer(descriptor, bufferBytes);
      this.portId = shims.portId(descriptor);
    } catch (error) {
      this.close();
      throw fromSystemCall('open a netlink socket', error);
    }
  }

  get dropped(): number {
    try {
      return nativeShims().dropped(this.#open());
    } catch (error) {
      throw this.#failed('read the drop counter of a netlink socket', error);
    }
  }

  send(datagram: Uint8Array): void {
    try {
      if (datagram.length + datagramOverhead > this.#sendBufferBytes)
        this.#sendBufferBytes = setSendBuffer(this.#open(), datagram.length + datagramOverhead);
      nativeShims().send(this.#open(), datagram);
    } catch (error) {
      throw this.#failed('send to the kernel', error);
    }
  }

  receive(buffer: Uint8Array): number | undefined {
    try {
      const length = nativeShims().receive(this.#open(), buffer);
      return length < 0 ? undefined : length;
    } catch (error) {
      throw this.#failed('receive from the kernel', error);
    }
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    nativeShims().close(descriptor);
  }

  /** A closed descriptor is not closed again: another file may have its number by now. */
  #failed(operation: string, cause: unknown): unknown {
    const error = fromSystemCall(operation, cause);
    if (error instanceof NetlinkError && (error.errno === 'EBADF' || error.errno === 'ENOTSOCK'))
      this.#descriptor = undefined;
    return error;
  }

  #open(): number {
    // -1 makes the system call fail with EBADF.
    return this.#descriptor ?? -1;
  }
}
