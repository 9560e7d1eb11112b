import { deadSocketErrnos, NetlinkError } from './errors.js';
import type { CommandChannel } from './command-socket.js';

const dead: ReadonlySet<string> = new Set(deadSocketErrnos);

/** After so many consecutive failures to receive the socket counts as failed, whatever the error. */
const maxFailures = 3;

/** A failed socket was replaced by another one, with another port id. */
export interface Reopened {
  /** Why it failed. */
  readonly error: NetlinkError;
  /** Whether the failed socket had answered; otherwise the earlier failure persists. */
  readonly previousWorked: boolean;
}

/**
 * A channel that replaces a failed socket. A datagram that could not be sent is sent on the new socket, because none of it had
 * reached the kernel; a failure to receive is an error for the caller that waits for replies. If no socket can be opened, `send`
 * fails, and the next `send` tries again.
 */
export class ReopeningChannel implements CommandChannel {
  /** Called after the socket was replaced. */
  onReopened: (reopened: Reopened) => void = () => {};
  #channel: CommandChannel | undefined;
  #last: Pick<CommandChannel, 'receiveBufferBytes' | 'portId'>;
  /** Why the last socket was closed. */
  #error: NetlinkError | undefined;
  #hasReceived = false;
  #failures = 0;
  /** Total of all sockets when it was last read. */
  #dropped = 0;
  #channelDropped = 0;
  #closed = false;

  /** Opens the first socket; a NetlinkError where that fails. */
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

  /** Datagrams that were queued on a failed socket do not count: the caller that waited for them got an error. */
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

  /** Closes the socket and returns true where the error means that it has failed permanently. */
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
