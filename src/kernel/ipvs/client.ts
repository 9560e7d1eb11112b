import { BaseError } from '../../base/errors.js';
import type { IpvsOperation, Outcome } from '../../model/operation.js';
import {
  virtualServerKey,
  type RealServerObservation,
  type Statistics,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerObservation,
} from '../../model/virtual-server.js';
import type { AttributeSet } from '../../netlink/codec/attributes.js';
import { Connection, type SentCounts } from '../../netlink/connection.js';
import type { Reopened } from '../../netlink/reopening-channel.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';
import { GenericFamily, lookUpFamily } from '../../netlink/generic-family.js';
import type { Message, Request } from '../../netlink/message.js';
import { withErrnoMeaning } from './errno-meaning.js';
import {
  Command,
  familyName,
  familyVersion,
  infoAttributes,
  messageAttributes,
  messageAttributesWithoutStatistics,
} from './attributes.js';
import { identityValues, realServerFrom, virtualServerFrom } from './convert.js';
import { requestFor, type IpvsFamily } from './operation-request.js';

/** Seconds after which IPVS forgets idle connections. */
export interface IpvsTimeouts {
  readonly tcpSeconds: number;
  readonly tcpFinSeconds: number;
  readonly udpSeconds: number;
}

export interface IpvsInformation {
  /** As `1.2.1`. */
  readonly version: string;
  /** Buckets of the connection table. */
  readonly connectionTableSize: number;
}

type RowsOf<Table> = Table extends AttributeSet<infer R> ? R : never;
type InfoFamily = GenericFamily<RowsOf<typeof infoAttributes>>;

/**
 * The module ip_vs was unloaded, and perhaps loaded again. Its virtual servers, connections and settings net.ipv4.vs.* are lost, and
 * the requested operation was not performed.
 */
export class IpvsUnloadedError extends BaseError {}

/** include/uapi/linux/ip_vs.h: NVERSION */
const formatVersion = (code: number): string =>
  `${(code >>> 16) & 0xff}.${(code >>> 8) & 0xff}.${code & 0xff}`;

const familiesOf = (id: number, attributes: typeof messageAttributes) => ({
  family: new GenericFamily(id, familyVersion, attributes, Command),
  info: new GenericFamily(id, familyVersion, infoAttributes, Command),
});

const valueForErrno = <T>(errno: string, value: T, error: unknown): T => {
  if (error instanceof NetlinkError && error.errno === errno) return value;
  throw error;
};

const listOperation = (): string => 'list the virtual servers';

/** The IPVS table of the network namespace that the process was in when the client was opened. Its methods reject with NetlinkError and ProtocolError. */
export class IpvsClient {
  readonly #connection: Connection;
  #family: IpvsFamily;
  #info: InfoFamily;
  #reloads = 0;

  private constructor(
    connection: Connection,
    private readonly attributes: typeof messageAttributes,
  ) {
    this.#connection = connection;
    const families = familiesOf(lookUpFamily(connection, familyName), attributes);
    this.#family = families.family;
    this.#info = families.info;
    connection.registerShapes((message) =>
      message.bodyLength > 0 && message.view.getUint8(message.bodyOffset) === Command.setInfo
        ? this.#info.shapeOf(message)
        : this.#family.shapeOf(message),
    );
  }

  /** A NetlinkError ENOENT where the kernel has no IPVS and cannot load it. Without `statistics` all statistics are read as undefined. */
  static open(
    connection: Connection = Connection.open('generic'),
    { statistics } = { statistics: true },
  ): IpvsClient {
    try {
      return new IpvsClient(connection, statistics ? messageAttributes : messageAttributesWithoutStatistics);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get sent(): SentCounts {
    return this.#connection.sent;
  }

  /** Calls the listener after a failed socket was replaced by another one. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#connection.onReopened(listener);
  }

  /** How often IPVS was reloaded since this client was opened. */
  get reloads(): number {
    return this.#reloads;
  }

  /**
   * Reads the id of the family again, which changes with each load of the module. An IpvsUnloadedError where the kernel has no IPVS
   * and cannot load it.
   */
  refreshFamily(): void {
    let id: number;
    try {
      id = lookUpFamily(this.#connection, familyName);
    } catch (cause) {
      if (!(cause instanceof NetlinkError) || cause.errno !== 'ENOENT') throw cause;
      const advice = 'the module ip_vs was unloaded and could not be loaded again (modprobe ip_vs)';
      throw new IpvsUnloadedError(`IPVS was unloaded: ${advice}`, { cause });
    }
    if (id === this.#family.id) return;
    const families = familiesOf(id, this.attributes);
    this.#family = families.family;
    this.#info = families.info;
    this.#reloads += 1;
  }

  async info(): Promise<IpvsInformation> {
    const request = this.#info.request(
      Command.getInfo,
      { operation: () => 'read the IPVS version' },
      () => ({}),
    );
    return this.#request(request, (message) => {
      const { version = 0, connectionTableSize = 0 } = this.#info.decode(message);
      return { version: formatVersion(version), connectionTableSize };
    });
  }

  async timeouts(): Promise<IpvsTimeouts> {
    const request = this.#family.request(
      Command.getConfig,
      { operation: () => 'read the IPVS timeouts' },
      () => ({}),
    );
    return this.#request(request, (message) => {
      const { tcpSeconds = 0, tcpFinSeconds = 0, udpSeconds = 0 } = this.#family.decode(message);
      return { tcpSeconds, tcpFinSeconds, udpSeconds };
    });
  }

  /** Timeouts that are missing or 0 are not changed. */
  async setTimeouts(timeouts: Partial<IpvsTimeouts>): Promise<void> {
    const operation = (): string => 'set the IPVS timeouts';
    const request = this.#family.request(Command.setConfig, { operation }, () => timeouts);
    this.#detectReload(() => this.#connection.execute(request));
  }

  async virtualServers(): Promise<readonly VirtualServerObservation[]> {
    const request = this.#family.request(Command.getService, { operation: listOperation }, () => ({}));
    return this.#detectReload(() => this.#connection.dump(request)).map(this.#virtualServer);
  }

  /**
   * The same, but yields to the event loop; synchronous requests of this client fail with EBUSY until it ends. Where virtual servers
   * are added or deleted meanwhile, others may be missing or come twice.
   */
  async virtualServersIncrementally(): Promise<readonly VirtualServerObservation[]> {
    const request = this.#family.request(Command.getService, { operation: listOperation }, () => ({}));
    return this.#readIncrementally(request, this.#virtualServer);
  }

  /**
   * The statistics of all virtual servers, in one dump that yields to the event loop as virtualServersIncrementally does.
   */
  async statistics(): Promise<
    readonly { readonly key: VirtualServerKey; readonly statistics: Statistics }[]
  > {
    const operation = (): string => 'read the statistics of the virtual servers';
    const request = this.#family.request(Command.getService, { operation }, () => ({}));
    return this.#readIncrementally(request, (message) => {
      const { key, statistics } = this.#virtualServer(message);
      return statistics && { key, statistics };
    });
  }

  /** Undefined where there is no such virtual server. */
  async virtualServer(identity: VirtualServerIdentity): Promise<VirtualServerObservation | undefined> {
    const operation = (): string => `read virtual server ${virtualServerKey(identity)}`;
    const request = this.#family.request(Command.getService, { operation }, () => ({
      service: identityValues(identity),
    }));
    try {
      return this.#request(request, this.#virtualServer);
    } catch (error) {
      return valueForErrno('ESRCH', undefined, error);
    }
  }

  /** Empty also where the virtual server does not exist. The kernel needs one dump per virtual server, the costly part of observing. */
  async realServers(of: VirtualServerIdentity): Promise<readonly RealServerObservation[]> {
    try {
      const messages = this.#detectReload(() => this.#connection.dump(this.#realServersRequest(of)));
      return messages.map((message) => this.#realServer(message, of));
    } catch (error) {
      return valueForErrno('ESRCH', [], error);
    }
  }

  /** The same, but yields to the event loop as virtualServersIncrementally does. */
  async realServersIncrementally(of: VirtualServerIdentity): Promise<readonly RealServerObservation[]> {
    const decode = (message: Message): RealServerObservation => this.#realServer(message, of);
    try {
      return await this.#readIncrementally(this.#realServersRequest(of), decode);
    } catch (error) {
      return valueForErrno('ESRCH', [], error);
    }
  }

  /**
   * Performs the operations in their order, with few system calls; one outcome for each. A failing one does not stop the others.
   * Rejects with an IpvsUnloadedError where IPVS was unloaded.
   */
  async apply(operations: readonly IpvsOperation[]): Promise<readonly Outcome[]> {
    const outcomes = await this.#connection.batch(operations, (operation) =>
      requestFor(this.#family, operation),
    );
    if (outcomes.some((outcome) => outcome.status === 'failed' && outcome.errno === 'ENOENT'))
      this.#checkForReload();
    return outcomes.map((outcome, index) => withErrnoMeaning(operations[index], outcome));
  }

  close(): void {
    this.#connection.close();
  }

  #realServersRequest(of: VirtualServerIdentity): Request {
    const operation = (): string => `list the real servers of ${virtualServerKey(of)}`;
    return this.#family.request(Command.getDestination, { operation }, () => ({
      service: identityValues(of),
    }));
  }

  #realServer(message: Message, of: VirtualServerIdentity): RealServerObservation {
    const { destination } = this.#family.decode(message);
    if (destination === undefined) throw new ProtocolError('is missing', 'destination');
    return realServerFrom(destination, of);
  }

  #request<T>(request: Request, decode: (message: Message) => T): T {
    return this.#detectReload(() => this.#connection.request(request, decode));
  }

  async #readIncrementally<T>(
    request: Request,
    decode: (message: Message) => T | undefined,
  ): Promise<readonly T[]> {
    const dumping = this.#connection.dumpIncrementally(request, decode);
    return dumping.catch((error: unknown) => this.#rethrow(error));
  }

  #detectReload<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      return this.#rethrow(error);
    }
  }

  /** The kernel answers ENOENT to the id of an unregistered family. */
  #rethrow(error: unknown): never {
    if (error instanceof NetlinkError && error.errno === 'ENOENT') this.#checkForReload();
    throw error;
  }

  #checkForReload(): void {
    const before = this.#reloads;
    this.refreshFamily();
    if (this.#reloads !== before) throw new IpvsUnloadedError('IPVS is empty: its module was reloaded');
  }

  readonly #virtualServer = (message: Message): VirtualServerObservation => {
    const { service } = this.#family.decode(message);
    if (service === undefined) throw new ProtocolError('is missing', 'service');
    return virtualServerFrom(service);
  };
}
