import { loadBinary } from './load-binary.js';

/**
 * Netlink sockets by file descriptor, and what else Node.js lacks (native-shims/native-shims.c). No function blocks. Where a system call fails, an Error
 * with `errno` (a positive number) is thrown.
 */
export interface NativeShims {
  /** A non-blocking netlink socket of the protocol (NETLINK_*), bound to a port id that the kernel chooses. */
  openSocket(protocol: number): number;
  /** The kernel's address of the netlink socket; any other descriptor fails. */
  portId(descriptor: number): number;
  /** setsockopt of an integer. */
  setOption(descriptor: number, level: number, name: number, value: number): void;
  /** getsockopt of an integer. */
  getOption(descriptor: number, level: number, name: number): number;
  /**
   * getsockopt on a datagram socket of the domain (AF_*), which is opened for it: `bytes` holds the query and then the
   * answer, whose length it returns.
   */
  querySocketOption(domain: number, level: number, name: number, bytes: Uint8Array): number;
  /** getsockopt of an option that is no integer, such as SO_PEERCRED: fills `bytes`, and returns the length. */
  readOption(descriptor: number, level: number, name: number, bytes: Uint8Array): number;
  /** A Unix socket that listens at an abstract name (unix(7)) in this network namespace. EADDRINUSE: another socket has it. */
  listenAt(name: Uint8Array): number;
  /** A connection to the socket with this abstract name. ECONNREFUSED: no socket has it. */
  connectTo(name: Uint8Array): number;
  /** SO_ATTACH_FILTER: `program` is an array of struct sock_filter; the kernel queues only the datagrams that it accepts. */
  attachFilter(descriptor: number, program: Uint8Array): void;
  /** Datagrams that the kernel could not queue since the socket was opened (SO_MEMINFO); counts modulo 2^32. */
  dropped(descriptor: number): number;
  /** Sends one datagram; the kernel has executed its messages and queued the replies when this returns. */
  send(descriptor: number, datagram: Uint8Array): void;
  /**
   * The length of the next datagram from the kernel, written to `buffer`. More than the buffer's length: its rest is
   * lost. Negative (-EAGAIN): none is queued.
   */
  receive(descriptor: number, buffer: Uint8Array): number;
  close(descriptor: number): void;
  /** Gives free memory of the C library back to the kernel: buffers of connections and lists, arenas of V8's threads. */
  trimHeap(): void;
  /** Unmaps the code and constants of Node.js, which the kernel then may evict. Each page comes back when it is used. */
  releaseProgramPages(): void;
}

let loaded: NativeShims | undefined;

/** Loads the binary once. Throws an Error with the command that builds it where it is missing or does not load. */
export const nativeShims = (): NativeShims => (loaded ??= loadBinary('native-shims') as NativeShims);
