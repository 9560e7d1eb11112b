import { Subsystem, BatchMessage } from '../../../src/kernel/nfnetlink.js';
import type { AddressOperation, IpvsOperation } from '../../../src/model/operation.js';
import { formatOperation } from '../../../src/model/plan-entry.js';
import { viewOf } from '../../../src/netlink/codec/bytes.js';
import type { CommandChannel } from '../../../src/netlink/command-socket.js';
import { Connection } from '../../../src/netlink/connection.js';
import type { ProtocolName } from '../../../src/netlink/constants.js';
import { controlFamilyId } from '../../../src/netlink/generic-family.js';
import { readMessages, type Message } from '../../../src/netlink/message.js';
import { messageBytes } from '../fake-channel.js';
import { kindOf, SocketFaults } from '../faulty-channel.js';
import { Refusal, type Answer, type Notification } from './answer.js';
import { FakeIpvs } from './fake-ipvs.js';
import { FakeKernelChannel, type ChannelKernel } from './fake-kernel-channel.js';
import { FakeNftables } from './fake-nftables.js';
import { FakeRtnetlink } from './fake-rtnetlink.js';

/** A program that listens to multicast groups. */
export interface Listener {
  readonly protocol: ProtocolName;
  readonly groups: readonly number[];
  /** What this port asked for is not told. */
  readonly ignoredPortId: () => number;
  message(message: Message): void;
  /** Notifications found no room. */
  lost(): void;
}

/** A message that reached the kernel. */
export interface ReceivedMessage {
  readonly portId: number;
  /** As `ipvs 5`, `route 20 dump`. */
  readonly kind: string;
}

const conntrackGet = (Subsystem.conntrack << 8) | 1;

/**
 * A kernel behind the bytes of netlink: IPVS, links, addresses and nftables. test/kernel/fake-kernel.test.ts compares it with the
 * real kernel. Its connection tracking table is empty.
 */
export class FakeKernel {
  /** The changes of the IPVS table and of the addresses of kube-ipvs0, such as `+ address 10.96.0.1/32`. */
  readonly changes: string[] = [];
  readonly received: ReceivedMessage[] = [];
  /** Called before each of those changes. */
  beforeChange: (operation: IpvsOperation | AddressOperation) => void = () => {};
  /** The faults of connections that `connect` opens. */
  readonly faults = new SocketFaults((protocol) => this.channel(protocol));
  /** What happens to notifications: listeners learn of `lost` ones, and not of `unseen` ones. */
  notifications: 'delivered' | 'lost' | 'unseen' = 'delivered';
  readonly ipvs = new FakeIpvs((operation) => this.#change(operation));
  readonly route = new FakeRtnetlink(
    (notification) => this.#notify(notification),
    (operation) => this.#change(operation),
  );
  readonly nftables = new FakeNftables((notification) => this.#notify(notification));
  readonly #listeners = new Set<Listener>();
  #nextPort = 1_000;

  /** A socket of another program: without faults. */
  readonly channel = (protocol: ProtocolName): CommandChannel => {
    this.#nextPort += 1;
    const kernel: ChannelKernel = {
      handle: (message, portId) => {
        this.received.push({ portId, kind: kindOf(protocol, message) });
        return this.#handle(protocol, message, portId);
      },
      isTransaction: ({ type }) => protocol === 'netfilter' && type === BatchMessage.begin,
      transact: (messages, portId) => {
        for (const message of messages) this.received.push({ portId, kind: kindOf(protocol, message) });
        return this.nftables.transact(messages, portId);
      },
    };
    return new FakeKernelChannel(kernel, this.#nextPort);
  };

  /** A connection with the faults. */
  readonly connect = (protocol: ProtocolName): Connection =>
    Connection.open(protocol, { channel: () => this.faults.channel(protocol) });

  /** A connection without them, for another program. */
  readonly connectOther = (protocol: ProtocolName): Connection =>
    Connection.open(protocol, { channel: () => this.channel(protocol) });

  listen(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #change(operation: IpvsOperation | AddressOperation): void {
    this.beforeChange(operation);
    this.changes.push(formatOperation(operation));
  }

  #handle(protocol: ProtocolName, message: Message, portId: number): Answer {
    if (protocol === 'route') return this.route.handle(message, portId);
    if (protocol === 'generic')
      return message.type === controlFamilyId ? this.ipvs.handleControl(message) : this.ipvs.handle(message);
    if (message.type === conntrackGet)
      return { kind: 'dump', type: Subsystem.conntrack << 8, objects: () => [], generation: undefined };
    if (message.type >> 8 === Subsystem.conntrack) throw new Refusal('ENOENT');
    return this.nftables.handle(message);
  }

  /** Listeners are called in a later turn of the event loop, as with a socket. */
  #notify({ protocol, group, type, portId, body }: Notification): void {
    if (this.notifications === 'unseen') return;
    const bytes = messageBytes({ type, sequence: 0, portId, body });
    for (const listener of this.#listeners) {
      if (listener.protocol !== protocol || !listener.groups.includes(group)) continue;
      if (portId !== 0 && portId === listener.ignoredPortId()) continue;
      const isLost = this.notifications === 'lost';
      setImmediate(() => this.#deliver(listener, isLost ? undefined : bytes));
    }
  }

  #deliver(listener: Listener, bytes: Uint8Array | undefined): void {
    if (!this.#listeners.has(listener)) return;
    if (bytes === undefined) listener.lost();
    else for (const message of readMessages(viewOf(bytes), bytes.length)) listener.message(message);
  }
}
