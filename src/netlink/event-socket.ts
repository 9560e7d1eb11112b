import { constants } from 'node:os';
// The package's index would load the tables of every family too.
import { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { nativeShims } from '../../native-shims/index.js';
import { viewOf } from './codec/bytes.js';
import { Protocol, type ProtocolName } from './constants.js';
import { fromSystemCall, NetlinkError } from './errors.js';
import { readMessages, type Message } from './message.js';
import { socketDescriptor } from './socket-descriptor.js';
import { filterEvents, type OnlyEvents } from './socket-filter.js';
import { disableOverrunErrors, setReceiveBuffer } from './command-socket.js';
import { tracerFromEnvironment, type ShapeOf, type Tracer } from './trace.js';

export interface EventListener {
  /** A message of one of the groups; its memory is reused, so decode it at once. Errors go to `failed`. */
  message(message: Message): void;
  /** The receive buffer was full and events were dropped. */
  lost(): void;
  failed(error: Error): void;
  readonly shapeOf: ShapeOf;
  readonly receiveBufferBytes?: number;
  /** Changes that this port requested are left out: its connection has the replies. */
  readonly ignoredPortId?: number;
  /** Of events of some types, those that the kernel delivers; undefined: all. */
  readonly only?: OnlyEvents;
}

const defaultBufferBytes = 4 << 20;

/** The package does not expose the descriptor of its socket. */
const descriptorOf = (socket: RawNetlinkSocket, protocol: ProtocolName): number => {
  const descriptor = socketDescriptor(Protocol[protocol], socket.address().port);
  if (descriptor === undefined)
    throw new NetlinkError('find the descriptor of a netlink socket', constants.errno.EBADF);
  return descriptor;
};

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/**
 * A socket for multicast groups. The npm package that polls it aborts the process when a receive overruns or a listener throws, and
 * must not be closed from within a listener. So overruns are only counted, the package's listener only queues, and our code runs in
 * its own macrotasks.
 */
export class EventSocket {
  readonly #socket: RawNetlinkSocket;
  readonly #descriptor: number;
  readonly #portId: number;
  readonly #trace: Tracer | undefined;
  #queue: Uint8Array[] = [];
  #scheduled = false;
  #closed = false;
  #dropped = 0;

  private constructor(
    protocol: ProtocolName,
    groups: readonly number[],
    private readonly listener: EventListener,
  ) {
    this.#trace = tracerFromEnvironment(protocol);
    this.#socket = new RawNetlinkSocket(Protocol[protocol]);
    try {
      this.#descriptor = descriptorOf(this.#socket, protocol);
      this.#portId = nativeShims().portId(this.#descriptor);
      disableOverrunErrors(this.#descriptor);
      setReceiveBuffer(this.#descriptor, listener.receiveBufferBytes ?? defaultBufferBytes);
      this.#dropped = nativeShims().dropped(this.#descriptor);
      filterEvents(this.#descriptor, listener);
      this.#listen();
      for (const group of groups) this.#socket.addMembership(group);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** A NetlinkError where the kernel refuses the socket or a group. */
  static open(protocol: ProtocolName, groups: readonly number[], listener: EventListener): EventSocket {
    try {
      return new EventSocket(protocol, groups, listener);
    } catch (error) {
      throw fromSystemCall('open a netlink socket for events', error);
    }
  }

  /** Reports a failure if the descriptor is no longer that of this socket: a closed socket delivers nothing and reports nothing. */
  checkDescriptor(): void {
    try {
      if (nativeShims().portId(this.#descriptor) === this.#portId) return;
    } catch (error) {
      return this.#fail(fromSystemCall('check a netlink socket for events', error));
    }
    this.#fail(new Error('check a netlink socket for events: its descriptor belongs to another socket'));
  }

  /** No callback is called afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    // In its own macrotask, never from within the package's callback.
    setImmediate(() => this.#socket.close());
  }

  /** The listeners run on the package's stack: they must not throw or call our code. */
  #listen(): void {
    const enqueue = (bytes: Uint8Array, information: { readonly port: number }): void => {
      try {
        if (information.port === 0) this.#queue.push(bytes);
        this.#schedule();
      } catch {
        // out of memory at worst
      }
    };
    this.#socket.on('message', enqueue);
    this.#socket.on('error', (error) => {
      setImmediate(() => this.#fail(fromSystemCall('receive netlink events', error)));
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const queue = this.#queue;
    this.#queue = [];
    for (const datagram of queue) this.#deliverDatagram(datagram);
    this.#checkDrops();
  }

  #deliverDatagram(datagram: Uint8Array): void {
    if (this.#closed) return;
    this.#trace?.('received', datagram, this.listener.shapeOf);
    try {
      for (const message of readMessages(viewOf(datagram), datagram.length))
        if (!this.#closed) this.listener.message(message);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Drops happen only while datagrams are queued, so checking after each delivery misses none. */
  #checkDrops(): void {
    if (this.#closed) return;
    try {
      const dropped = nativeShims().dropped(this.#descriptor);
      if (dropped === this.#dropped) return;
      this.#dropped = dropped;
      this.listener.lost();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.listener.failed(asError(error));
  }
}
