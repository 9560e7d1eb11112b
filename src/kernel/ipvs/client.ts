import { mapWithYields } from '../../base/async.js';
import { BaseError } from '../../base/errors.js';
import type { IpvsOperation, Outcome } from '../../model/operation.js';
import { formatOperation } from '../../model/plan-entry.js';
import {
  virtualServerKey,
  type RealServerObservation,
  type Statistics,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerObservation,
} from '../../model/virtual-server.js';
import type { AttributeSet } from '../../netlink/codec/attributes.js';
import type { ByteWriter } from '../../netlink/codec/bytes.js';
import { Connection, type SentCounts } from '../../netlink/connection.js';
import type { Reopened } from '../../netlink/reopening-channel.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';
import { GenericFamily, lookUpFamily } from '../../netlink/generic-family.js';
import type { BodyShape, Message, Request } from '../../netlink/message.js';
import { withErrnoMeaning } from './errno-meaning.js';
import {
  Command,
  familyName,
  familyVersion,
  infoAttributes,
  messageAttributes,
  messageAttributesWithoutStatistics,
} from './attributes.js';
import {
  identityValues,
  realServerFrom,
  realServerIdentityValues,
  realServerValues,
  virtualServerFrom,
  virtualServerValues,
} from './convert.js';

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
type IpvsFamily = GenericFamily<RowsOf<typeof messageAttributes>>;
type InfoFamily = GenericFamily<RowsOf<typeof infoAttributes>>;

/**
 * IPVS is not the one that it was: its module was unloaded, and perhaps loaded again. What it held is gone, the virtual servers,
 * their connections and the settings net.ipv4.vs.*; nothing of what was asked was done.
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

/** How long decoding holds up everything else. */
const yieldIntervalMilliseconds = 2;

const listOperation = (): string => 'list the virtual servers';

/** The IPVS table of the network namespace that the process was in when it was opened. Its methods reject with NetlinkError and ProtocolError. */
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

  /** A NetlinkError ENOENT where the kernel has no IPVS and cannot load it. Without `statistics` those of all it reads are undefined. */
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

  /** The listener is called when its socket was of no use any more and another one was opened. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#connection.onReopened(listener);
  }

  /** How often IPVS was found loaded anew since this client was opened. */
  get reloads(): number {
    return this.#reloads;
  }

  /**
   * Asks for the number of the family again, for with each load of the module it has another one. An IpvsUnloadedError where the
   * kernel has no IPVS and cannot load it.
   */
  refreshFamily(): void {
    let id: number;
    try {
      id = lookUpFamily(this.#connection, familyName);
    } catch (cause) {
      if (!(cause instanceof NetlinkError) || cause.errno !== 'ENOENT') throw cause;
      const advice = 'the module ip_vs was unloaded and could not be loaded again (modprobe ip_vs)';
      throw new IpvsUnloadedError(`this kernel has no IPVS any more: ${advice}`, { cause });
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

  /** Timeouts that are left out, or 0, stay. */
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
   * The same with turns for the event loop: whatever else is asked of this client until it is done fails with EBUSY. What comes or goes
   * meanwhile, and what has its place beside that, may be missing or be there twice.
   */
  async virtualServersIncrementally(): Promise<readonly VirtualServerObservation[]> {
    const request = this.#family.request(Command.getService, { operation: listOperation }, () => ({}));
    return this.#readIncrementally(request);
  }

  /**
   * The statistics of all virtual servers with one dump, during which the event loop has its turns: whatever else is asked of
   * this client until it is done fails with EBUSY. What comes or goes meanwhile may be missing or be there twice.
   */
  async statistics(): Promise<
    readonly { readonly key: VirtualServerKey; readonly statistics: Statistics }[]
  > {
    const operation = (): string => 'read the statistics of the virtual servers';
    const request = this.#family.request(Command.getService, { operation }, () => ({}));
    const found = await this.#readIncrementally(request);
    return found.flatMap(({ key, statistics }) => (statistics === undefined ? [] : [{ key, statistics }]));
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

  /** Empty also where the virtual server does not exist. One dump for each virtual server: the costly part of observing. */
  async realServers(of: VirtualServerIdentity): Promise<readonly RealServerObservation[]> {
    const operation = (): string => `list the real servers of ${virtualServerKey(of)}`;
    const request = this.#family.request(Command.getDestination, { operation }, () => ({
      service: identityValues(of),
    }));
    try {
      const decode = (message: Message): RealServerObservation => {
        const { destination } = this.#family.decode(message);
        if (destination === undefined) throw new ProtocolError('is missing', 'destination');
        return realServerFrom(destination, of);
      };
      return this.#detectReload(() => this.#connection.dump(request)).map(decode);
    } catch (error) {
      return valueForErrno('ESRCH', [], error);
    }
  }

  /**
   * Performs the operations in their order, with few system calls; one outcome for each. A failing one does not stop the others.
   * Rejects with an IpvsUnloadedError where it was IPVS itself that was not there.
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

  #request<T>(request: Request, decode: (message: Message) => T): T {
    return this.#detectReload(() => this.#connection.request(request, decode));
  }

  async #readIncrementally(request: Request): Promise<readonly VirtualServerObservation[]> {
    const dumping = this.#connection.dumpIncrementally(request);
    const messages = await dumping.catch((error: unknown) => this.#rethrow(error));
    return mapWithYields(messages, this.#virtualServer, yieldIntervalMilliseconds);
  }

  #detectReload<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      return this.#rethrow(error);
    }
  }

  /** ENOENT is what the kernel answers to the number of a family that has gone, and means little else. */
  #rethrow(error: unknown): never {
    if (error instanceof NetlinkError && error.errno === 'ENOENT') this.#checkForReload();
    throw error;
  }

  #checkForReload(): void {
    const before = this.#reloads;
    this.refreshFamily();
    if (this.#reloads !== before) throw new IpvsUnloadedError('IPVS is empty: its module was loaded anew');
  }

  readonly #virtualServer = (message: Message): VirtualServerObservation => {
    const { service } = this.#family.decode(message);
    if (service === undefined) throw new ProtocolError('is missing', 'service');
    return virtualServerFrom(service);
  };
}

const commands: Readonly<Record<IpvsOperation['kind'], number>> = {
  'add-virtual-server': Command.newService,
  'update-virtual-server': Command.setService,
  'delete-virtual-server': Command.deleteService,
  'add-real-server': Command.newDestination,
  'update-real-server': Command.setDestination,
  'delete-real-server': Command.deleteDestination,
};

const valuesFor = (operation: IpvsOperation): Parameters<IpvsFamily['write']>[2] => {
  switch (operation.kind) {
    case 'add-virtual-server':
    case 'update-virtual-server':
      return { service: virtualServerValues(operation.server) };
    case 'delete-virtual-server':
      return { service: identityValues(operation.server) };
    case 'add-real-server':
    case 'update-real-server':
      return { service: identityValues(operation.of), destination: realServerValues(operation.server) };
    case 'delete-real-server':
      return {
        service: identityValues(operation.of),
        destination: realServerIdentityValues(operation.server),
      };
  }
};

/** A class rather than an object of closures: a full sync makes one for each real server. */
class OperationRequest implements Request {
  readonly flags = 0;
  readonly type: number;
  readonly #command: number;

  constructor(
    readonly family: IpvsFamily,
    readonly ipvsOperation: IpvsOperation,
  ) {
    this.type = family.id;
    this.#command = commands[ipvsOperation.kind];
  }

  get shape(): BodyShape {
    return this.family.shape(this.#command);
  }

  operation(): string {
    return formatOperation(this.ipvsOperation);
  }

  write(writer: ByteWriter): void {
    this.family.write(writer, this.#command, valuesFor(this.ipvsOperation));
  }
}

/** The message that performs an operation. Values that do not fit become a failed outcome when it is written. */
export const requestFor = (family: IpvsFamily, operation: IpvsOperation): Request =>
  new OperationRequest(family, operation);
