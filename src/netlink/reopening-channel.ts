import { deadSocketErrnos, NetlinkError } from './errors.js';
import type { CommandChannel } from './command-socket.js';

const dead: ReadonlySet<string> = new Set(deadSocketErrnos);

/** After so many failures in a row to receive the socket is dead, whatever they say. */
const maxFailures = 3;

/** The socket was of no use any more, and there is another one, under another port id. */
export interface Reopened {
  /** Why. */
  readonly error: NetlinkError;
  /** Whether the one before had answered; else this is more of the same trouble. */
  readonly previousWorked: boolean;
}

/**
 * A channel that opens another socket where the one it has is dead. What could not be sent is sent there, for nothing of it had
 * reached the kernel; where it was answers that could not be received, whoever waits for them gets the error. A socket that
 * cannot be opened is an error of what was to be sent, and is tried with what is sent next.
 */
export class ReopeningChannel implements CommandChannel {
  /** Called once there is another socket. */
  onReopened: (reopened: Reopened) => void = () => {};
  #channel: CommandChannel | undefined;
  #last: Pick<CommandChannel, 'receiveBufferBytes' | 'portId'>;
  /** Why there is no socket, or the last one was closed. */
  #error: NetlinkError | undefined;
  #hasReceived = false;
  #failures = 0;
  /** Of all sockets until the last look. */
  #dropped = 0;
  #channelDropped = 0;
  #closed = false;

  /** Opens the first one; a NetlinkError where that fails. */
  constructor(private readonly open: () => CommandChannel) {
    this.#channel = open();
    this.#last = this.#channel;
  }

  get receiveBufferBytes(): number {
    return this.#last.receiveBufferBytes;
  }

  get portId(): number {
    return this.#last.portId;
  }

  /** Datagrams that a socket took to its grave are no drops: who waited for them was told. */
  get dropped(): number {
    try {
      const channelDropped = this.#channel?.dropped ?? this.#channelDropped;
      this.#dropped += channelDropped - this.#channelDropped;
      this.#channelDropped = channelDropped;
    } catch (error) {
      if (!this.#closeIfDead(error)) throw error;
    }
    return this.#dropped;
  }

  send(datagram: Uint8Array): void {
    try {
      this.#current().send(datagram);
    } catch (error) {
      if (!this.#closeIfDead(error)) throw error;
      this.#current().send(datagram);
    }
  }

  receive(buffer: Uint8Array): number | undefined {
    if (this.#channel === undefined) return undefined;
    try {
      const length = this.#channel.receive(buffer);
      this.#failures = 0;
      if (length !== undefined) this.#hasReceived = true;
      return length;
    } catch (error) {
      this.#failures += 1;
      this.#closeIfDead(error);
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#channel?.close();
  }

  /** Lets go of the socket where the error says that it is dead; whether it does. */
  #closeIfDead(error: unknown): boolean {
    if (this.#closed || this.#channel === undefined || !(error instanceof NetlinkError)) return false;
    if (!dead.has(error.errno) && this.#failures < maxFailures) return false;
    this.#channel.close();
    this.#channel = undefined;
    this.#failures = 0;
    this.#channelDropped = 0;
    this.#error = error;
    return true;
  }

  #current(): CommandChannel {
    if (this.#channel !== undefined) return this.#channel;
    this.#channel = this.open();
    this.#last = this.#channel;
    if (this.#error !== undefined) this.onReopened({ error: this.#error, previousWorked: this.#hasReceived });
    this.#hasReceived = false;
    return this.#channel;
  }
}
