import { constants } from 'node:os';
import { ByteWriter, bytesAt, viewOf } from '../../src/netlink/codec/bytes.js';
import { Protocol, type ProtocolName } from '../../src/netlink/constants.js';
import { errnoName } from '../../src/netlink/errno.js';
import { NetlinkError } from '../../src/netlink/errors.js';
import { readMessages, type Message } from '../../src/netlink/message.js';
import { CommandSocket, type CommandChannel } from '../../src/netlink/command-socket.js';
import { acknowledgementBytes } from './fake-channel.js';

/**
 * What goes wrong with one message:
 * - a number: the kernel refuses it with that errno, and does not do it
 * - `unsent`: the system call fails, nothing of the datagram reaches the kernel
 * - `dead`: so it does, and the socket is of no use from then on
 * - `lost`: the kernel does it, and its answers find no room
 * - `cut`, `twice`: the answer is cut off, or comes twice
 */
export type Fault = number | 'unsent' | 'dead' | 'lost' | 'cut' | 'twice';

/** Where the next fault strikes: at the so-manieth message from now on, or at the first of a kind. */
export type Aim = { readonly position: number } | { readonly kind: string };

const dumpFlags = 0x300;
const { EBADF, ENOBUFS } = constants.errno;

/** `ipvs 5` for command 5, `route 20 dump`, `netfilter 2561`. */
export const kindOf = (protocol: ProtocolName, { type, flags, view, bodyOffset }: Message): string => {
  const isRead = protocol === 'route' ? (type & 3) === 2 : (flags & dumpFlags) === dumpFlags;
  const command =
    protocol === 'generic' && type !== 0x10 ? `ipvs ${view.getUint8(bodyOffset)}` : `${protocol} ${type}`;
  return isRead && (flags & dumpFlags) === dumpFlags ? `${command} dump` : command;
};

/**
 * By kind of message, what the kernel says only where it is so: the object is there already, or gone. Said of what is not so,
 * nothing could tell it from the truth.
 */
const lies: ReadonlyMap<string, readonly string[]> = new Map([
  ['ipvs 3', ['ESRCH']],
  ['ipvs 7', ['ENOENT']],
  ['route 20', ['EEXIST']],
  ['route 21', ['EADDRNOTAVAIL', 'ENODEV', 'ENONET']],
]);

/** Whether the fault is such an answer to this kind of message. */
export const isLie = (kind: string, fault: Fault): boolean =>
  typeof fault === 'number' && lies.get(kind)?.includes(errnoName(fault)) === true;

const openSocket = (protocol: ProtocolName): CommandChannel => new CommandSocket(Protocol[protocol], 4 << 20);

/** All sockets of a daemon: counts their messages, and makes one of them fail. */
export class SocketFaults {
  /** Messages since the last `aim`. */
  position = 0;
  /** Every kind of message that was seen. */
  readonly kinds = new Set<string>();
  /** The kinds of messages that faults struck since the last `aim`, with the faults. */
  struck: { readonly kind: string; readonly fault: Fault }[] = [];
  /** A fault that strikes each time. */
  always: (kind: string, message: Message) => Fault | undefined = () => undefined;
  /** Called before a datagram is sent, after that, and after each that is received, with the kind of its first message. */
  meanwhile: (kind: string, when: 'sending' | 'sent' | 'received') => void = () => {};
  #aims: readonly Aim[] = [];
  #faultFor: (kind: string) => Fault = () => 'lost';

  /** Each aim strikes once. The fault may depend on the message that it strikes. */
  aim(aims: readonly Aim[], faultFor: (kind: string) => Fault = () => 'lost'): void {
    this.position = 0;
    this.struck = [];
    this.#aims = aims;
    this.#faultFor = faultFor;
  }

  /** The fault for the next message, if it is one that was aimed at. */
  next(kind: string, message: Message): Fault | undefined {
    this.kinds.add(kind);
    const always = this.always(kind, message);
    if (always !== undefined) return always;
    const { position } = this;
    this.position += 1;
    const hit = this.#aims.find((aim) => ('kind' in aim ? aim.kind === kind : aim.position === position));
    if (hit === undefined) return undefined;
    this.#aims = this.#aims.filter((aim) => aim !== hit);
    const fault = this.#faultFor(kind);
    this.struck.push({ kind, fault });
    return fault;
  }

  /** `open` opens the socket that has the faults: one of this kernel's where nothing is said. */
  constructor(private readonly open: (protocol: ProtocolName) => CommandChannel = openSocket) {}

  readonly channel = (protocol: ProtocolName): CommandChannel =>
    new FaultyChannel(protocol, this, this.open(protocol));
}

/** A netlink socket with the faults of `SocketFaults`. */
class FaultyChannel implements CommandChannel {
  readonly receiveBufferBytes: number;
  readonly portId: number;
  #queue: Uint8Array[] = [];
  #losses = 0;
  #asked = '';
  #isDead = false;
  /** What is done with the answers to come. */
  #answers: 'lost' | 'cut' | 'twice' | undefined;

  constructor(
    private readonly protocol: ProtocolName,
    private readonly faults: SocketFaults,
    private readonly socket: CommandChannel,
  ) {
    this.receiveBufferBytes = socket.receiveBufferBytes;
    this.portId = socket.portId;
  }

  get dropped(): number {
    return this.socket.dropped + this.#losses;
  }

  send(datagram: Uint8Array): void {
    if (this.#isDead) throw new NetlinkError('send to the kernel', EBADF);
    this.#answers = undefined;
    const messages = [...readMessages(viewOf(datagram), datagram.length)];
    const refused = new Map<Message, number>();
    let unsent: number | undefined;
    for (const message of messages) {
      const fault = this.faults.next(kindOf(this.protocol, message), message);
      if (fault === 'dead') this.#isDead = true;
      if (fault === 'unsent' || fault === 'dead') unsent = this.#isDead ? EBADF : ENOBUFS;
      else if (typeof fault === 'number') refused.set(message, fault);
      else this.#answers = fault ?? this.#answers;
    }
    if (unsent !== undefined) throw new NetlinkError('send to the kernel', unsent);
    if (refused.size > 0) return this.#refuse(messages, refused);
    const [first] = messages;
    this.#asked = first === undefined ? '' : kindOf(this.protocol, first);
    this.faults.meanwhile(this.#asked, 'sending');
    this.socket.send(datagram);
    this.faults.meanwhile(this.#asked, 'sent');
  }

  receive(buffer: Uint8Array): number | undefined {
    const queued = this.#queue.shift();
    if (queued !== undefined) {
      buffer.set(queued.subarray(0, buffer.length));
      return queued.length;
    }
    let length = this.socket.receive(buffer);
    if (length !== undefined) this.faults.meanwhile(this.#asked, 'received');
    while (length !== undefined && this.#answers === 'lost') {
      this.#losses += 1;
      length = this.socket.receive(buffer);
    }
    if (length === undefined) this.#answers = undefined;
    else if (this.#answers === 'cut') {
      this.#answers = undefined;
      return length - 4;
    } else if (this.#answers === 'twice') this.#queue.push(buffer.slice(0, length));
    return length;
  }

  close(): void {
    this.socket.close();
  }

  /** The others of its datagram are done, but for a transaction, which is done as a whole or not at all. */
  #refuse(messages: readonly Message[], refused: ReadonlyMap<Message, number>): void {
    const isTransaction = this.protocol === 'netfilter' && messages[0]?.type === 16;
    const others = isTransaction ? [] : messages.filter((message) => !refused.has(message));
    const rest = new ByteWriter();
    for (const { view, bodyOffset, bodyLength } of others) {
      rest.bytes(bytesAt(view, bodyOffset - 16, bodyLength + 16));
      rest.pad();
    }
    if (rest.length > 0) this.socket.send(rest.written());
    for (const [message, errno] of refused) this.#queue.push(acknowledgementBytes(message, errno));
  }
}
