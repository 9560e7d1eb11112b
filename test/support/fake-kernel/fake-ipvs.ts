import {
  Command,
  familyName,
  familyVersion,
  infoAttributes,
  messageAttributes,
  type Destination,
  type Service,
} from '../../../src/kernel/ipvs/attributes.js';
import { realServerFrom, virtualServerFrom } from '../../../src/kernel/ipvs/convert.js';
import type { IpvsOperation } from '../../../src/model/operation.js';
import type {
  RealServerObservation,
  VirtualServerEntry,
  VirtualServerObservation,
} from '../../../src/model/virtual-server.js';
import { hex } from '../../../src/netlink/codec/bytes.js';
import { MessageFlag } from '../../../src/netlink/constants.js';
import {
  controlAttributes,
  ControlCommand,
  controlFamily,
  GenericFamily,
} from '../../../src/netlink/generic-family.js';
import type { Message } from '../../../src/netlink/message.js';
import { writeAllAttributes } from '../attribute-sets.js';
import { fakeTableFile, type FileRow } from './ipvs-table-file.js';
import type { TableFile } from '../../../src/kernel/ipvs/table-file/table-file.js';
import { done, Refusal, type Answer, type Body } from './answer.js';
import { FakeSyncDaemons } from './fake-sync-daemons.js';

interface Stored {
  readonly service: Service;
  readonly destinations: Map<string, Destination>;
}

/** include/uapi/linux/ip_vs.h: IP_VS_SVC_F_HASHED, set on every service of the table. */
const hashed = 0x2;
const largestWeight = 0x7fffffff;
const familyId = 0x1c;
const connectionTableSize = 4096;

const counterNames = [
  'connections',
  'inPackets',
  'outPackets',
  'inBytes',
  'outBytes',
  'connectionsPerSecond',
  'inPacketsPerSecond',
  'outPacketsPerSecond',
  'inBytesPerSecond',
  'outBytesPerSecond',
] as const;
const statistics64 = Object.fromEntries(counterNames.map((name) => [name, 0n]));
const statistics = Object.fromEntries(counterNames.map((name) => [name, name.endsWith('Bytes') ? 0n : 0]));

/** What the kernel tells of every real server, though it counts for tunnels alone. */
const withoutTunnel = { tunnelType: 'ipip', tunnelPort: 0, tunnelFlags: 0 } as const;

const addressLengths = { IPv4: 4, IPv6: 16, unspecified: 0 } as const;

/** What the hash tables of ip_vs_ctl.c find a service or a real server by. */
const placeOf = ({
  family,
  address = new Uint8Array(0),
  port = 0,
}: Partial<Pick<Destination, 'family' | 'address' | 'port'>>): string =>
  `${hex(address.subarray(0, addressLengths[family ?? 'unspecified']))} ${port}`;
const keyOf = (service: Service): string =>
  service.fwmark === undefined
    ? `${service.family} ${service.protocol} ${placeOf(service)}`
    : `${service.family} ${service.fwmark}`;

/** IPv6: no multicast; IPv4: neither multicast nor broadcast nor nowhere (ip_vs_new_dest). */
const isPossibleRealServer = ({ family, address }: Destination): boolean => {
  const [first = 0] = address;
  if (family === 'IPv6') return first !== 0xff && address.some((byte) => byte !== 0);
  return first > 0 && first < 0xe0;
};

/** The IPVS of one network namespace, by the rules of net/netfilter/ipvs/ip_vs_ctl.c. */
export class FakeIpvs {
  readonly schedulers = new Set(['rr', 'wrr', 'lc', 'wlc', 'sh', 'dh', 'mh', 'sed', 'nq', 'lblc', 'lblcr']);
  /** Active connections of real servers, by `VIRTUAL → REAL`. */
  readonly connections = new Map<string, number>();
  /** Counters of real servers that are not 0, by `VIRTUAL → REAL`. */
  readonly counters = new Map<string, Readonly<Partial<Record<(typeof counterNames)[number], bigint>>>>();
  /** Whether every real server has a connection where `connections` says nothing. */
  busy = false;
  readonly syncDaemons = new FakeSyncDaemons();
  readonly #services = new Map<string, Stored>();
  readonly #family = new GenericFamily(familyId, familyVersion, messageAttributes, Command);
  /** CONFIG_HZ */
  ticksPerSecond = 250;
  #timeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };

  /** `changed` is called before each change. */
  constructor(private readonly changed: (operation: IpvsOperation) => void) {}

  /** /proc/net/ip_vs */
  readonly tableFile: TableFile = fakeTableFile({
    row: (index) => this.#row([...this.#services.values()][index]),
    connectionTableSize,
    ticksPerSecond: () => this.ticksPerSecond,
  });

  /** The same, as the table was when the file was opened: reading a large table takes a while otherwise. */
  readonly tableSnapshot: TableFile = () => {
    const rows = [...this.#services.values()].map((stored) => this.#row(stored));
    const { ticksPerSecond } = this;
    return fakeTableFile({
      row: (index) => rows[index],
      connectionTableSize,
      ticksPerSecond: () => ticksPerSecond,
    })();
  };

  #row(stored: Stored | undefined): FileRow | undefined {
    if (stored === undefined) return undefined;
    const of = virtualServerFrom(stored.service);
    const destinations = [...stored.destinations.values()].map((destination) => ({
      ...destination,
      connections: this.#activeConnections(destination, of),
    }));
    return { service: stored.service, destinations };
  }

  /** Moves all virtual servers by so many places in the order of the table, as additions and deletions of others do. */
  rotate(places: number): void {
    const entries = [...this.#services];
    this.#services.clear();
    for (const [key, stored] of [...entries.slice(-places), ...entries.slice(0, -places)])
      this.#services.set(key, stored);
  }

  /** The table as tests compare it. */
  tables(): readonly VirtualServerEntry<RealServerObservation>[] {
    return [...this.#services.values()].map(({ service, destinations }) => {
      const server = virtualServerFrom(service);
      const realServers = [...destinations.values()].map((one) => this.#realServer(one, server));
      return { server, realServers: new Map(realServers.map((one) => [one.key, one])) };
    });
  }

  /** A message of the generic netlink controller: the number of a family. */
  handleControl(message: Message): Answer {
    if (controlFamily.decode(message).familyName !== familyName) throw new Refusal('ENOENT');
    const body: Body = (writer) => {
      writer.u32(ControlCommand.newFamily | (2 << 8));
      writeAllAttributes(writer, controlAttributes, {
        familyId,
        familyName,
        version: familyVersion,
        headerLength: 0,
        highestAttribute: 6,
      });
    };
    return { kind: 'message', type: 0x10, body };
  }

  handle(message: Message): Answer {
    if (message.type !== familyId) throw new Refusal('ENOENT');
    const command = message.view.getUint8(message.bodyOffset);
    const isDump = (message.flags & MessageFlag.dump) === MessageFlag.dump;
    switch (command) {
      case Command.getInfo:
        return this.#info();
      case Command.getConfig:
        return this.#message(Command.setConfig, this.#timeouts);
      case Command.setConfig:
        return this.#setTimeouts(message);
      case Command.getService:
        return isDump ? this.#dumpServices() : this.#getService(message);
      case Command.getDestination:
        return this.#dumpDestinations(message);
      case Command.getDaemon:
        return this.#dumpSyncDaemons();
      case Command.newDaemon:
        this.syncDaemons.start(this.#family.decode(message).daemon);
        return done;
      case Command.deleteDaemon:
        this.syncDaemons.stop(this.#family.decode(message).daemon);
        return done;
      case Command.flush:
        this.#services.clear();
        return done;
      default:
        return this.#change(command, message);
    }
  }

  #dumpSyncDaemons(): Answer {
    const objects = (): readonly Body[] =>
      this.syncDaemons.records().map((daemon) => this.#body(Command.newDaemon, { daemon }));
    return { kind: 'dump', type: familyId, objects, generation: undefined };
  }

  #info(): Answer {
    const body: Body = (writer) => {
      writer.u32(Command.setInfo | (familyVersion << 8));
      writeAllAttributes(writer, infoAttributes, { version: 0x10201, connectionTableSize });
    };
    return { kind: 'message', type: familyId, body };
  }

  #setTimeouts(message: Message): Answer {
    const { tcpSeconds, tcpFinSeconds, udpSeconds } = this.#family.decode(message);
    const before = this.#timeouts;
    this.#timeouts = {
      tcpSeconds: tcpSeconds || before.tcpSeconds,
      tcpFinSeconds: tcpFinSeconds || before.tcpFinSeconds,
      udpSeconds: udpSeconds || before.udpSeconds,
    };
    return done;
  }

  #body(command: number, values: Readonly<Record<string, unknown>>): Body {
    return (writer) => {
      writer.u32(command | (familyVersion << 8));
      writeAllAttributes(writer, messageAttributes, values);
    };
  }

  #message(command: number, values: Readonly<Record<string, unknown>>): Answer {
    return { kind: 'message', type: familyId, body: this.#body(command, values) };
  }

  #serviceBody(service: Service): Body {
    return this.#body(Command.newService, { service: { ...service, statistics, statistics64 } });
  }

  #dumpServices(): Answer {
    const objects = (): readonly Body[] =>
      [...this.#services.values()].map(({ service }) => this.#serviceBody(service));
    return { kind: 'dump', type: familyId, objects, generation: undefined };
  }

  #getService(message: Message): Answer {
    const found = this.#services.get(keyOf(this.#serviceIn(message)));
    if (found === undefined) throw new Refusal('ESRCH');
    return { kind: 'message', type: familyId, body: this.#serviceBody(found.service) };
  }

  /** Of a service that is not there the kernel tells no real servers, and no error. */
  #dumpDestinations(message: Message): Answer {
    const key = keyOf(this.#serviceIn(message));
    const objects = (): readonly Body[] => {
      const found = this.#services.get(key);
      if (found === undefined) return [];
      const of = virtualServerFrom(found.service);
      return [...found.destinations.values()].map((destination) => {
        const activeConnections = this.#activeConnections(destination, of);
        const counts = { activeConnections, inactiveConnections: 0, persistentConnections: 0 };
        return this.#body(Command.newDestination, {
          destination: {
            ...withoutTunnel,
            ...destination,
            ...counts,
            statistics,
            statistics64: { ...statistics64, ...this.#counters(destination, of) },
          },
        });
      });
    };
    return { kind: 'dump', type: familyId, objects, generation: undefined };
  }

  #activeConnections(destination: Destination, of: VirtualServerObservation): number {
    const { key } = realServerFrom(destination, of.identity);
    return this.connections.get(`${of.key} → ${key}`) ?? (this.busy ? 1 : 0);
  }

  #counters(destination: Destination, of: VirtualServerObservation): object | undefined {
    return this.counters.get(`${of.key} → ${realServerFrom(destination, of.identity).key}`);
  }

  #realServer(destination: Destination, of: VirtualServerObservation): RealServerObservation {
    const activeConnections = this.#activeConnections(destination, of);
    return { ...realServerFrom(destination, of.identity), activeConnections };
  }

  /** ip_vs_genl_parse_service without its optional part. */
  #serviceIn(message: Message): Service {
    const { service } = this.#family.decode(message);
    if (service === undefined) throw new Refusal('EINVAL');
    if (service.family !== 'IPv4' && service.family !== 'IPv6') throw new Refusal('EAFNOSUPPORT');
    const { protocol, address, port } = service;
    if (service.fwmark === undefined && [protocol, address, port].includes(undefined))
      throw new Refusal('EINVAL');
    return service;
  }

  /** ip_vs_genl_set_cmd */
  #change(command: number, message: Message): Answer {
    const service = this.#serviceIn(message);
    const key = keyOf(service);
    const found = this.#services.get(key);
    const isComplete = command === Command.newService || command === Command.setService;
    if (isComplete) this.#requireComplete(service);
    if (found === undefined && command !== Command.newService) throw new Refusal('ESRCH');
    if (command === Command.newService) this.#addService(key, service, found);
    else if (found !== undefined)
      switch (command) {
        case Command.setService:
          this.#editService(key, service, found);
          break;
        case Command.deleteService:
          this.#record({ kind: 'delete-virtual-server', server: virtualServerFrom(found.service).identity });
          this.#services.delete(key);
          break;
        default:
          this.#changeDestination(command, message, found);
      }
    return done;
  }

  #requireComplete({ scheduler, flags, timeoutSeconds, netmask }: Service): void {
    if ([scheduler, flags, timeoutSeconds, netmask].includes(undefined)) throw new Refusal('EINVAL');
  }

  #requireScheduler({ scheduler = '' }: Service): void {
    if (!this.schedulers.has(scheduler)) throw new Refusal('ENOENT');
  }

  #addService(key: string, service: Service, found: Stored | undefined): void {
    if (found !== undefined) throw new Refusal('EEXIST');
    this.#requireScheduler(service);
    const stored = withFlags(service, 0);
    this.#record({ kind: 'add-virtual-server', server: virtualServerFrom(stored) });
    this.#services.set(key, { service: stored, destinations: new Map() });
  }

  #editService(key: string, service: Service, { service: before, destinations }: Stored): void {
    this.#requireScheduler(service);
    const stored = withFlags(service, before.flags?.flags ?? 0);
    this.#record({ kind: 'update-virtual-server', server: virtualServerFrom(stored) });
    this.#services.set(key, { service: stored, destinations });
  }

  #changeDestination(command: number, message: Message, { service, destinations }: Stored): void {
    const given = this.#destinationIn(command, message, service);
    const key = `${given.family} ${placeOf(given)}`;
    const before = destinations.get(key);
    const { identity: of } = virtualServerFrom(service);
    if (command === Command.newDestination) {
      if (before !== undefined) throw new Refusal('EEXIST');
      if (!isPossibleRealServer(given)) throw new Refusal('EINVAL');
      this.#record({ kind: 'add-real-server', of, server: realServerFrom(given, of) });
      destinations.set(key, given);
      return;
    }
    if (before === undefined) throw new Refusal('ENOENT');
    if (command === Command.setDestination) {
      this.#record({ kind: 'update-real-server', of, server: realServerFrom(given, of) });
      destinations.set(key, given);
    } else if (command === Command.deleteDestination) {
      this.#record({ kind: 'delete-real-server', of, server: realServerFrom(before, of) });
      destinations.delete(key);
    } else throw new Refusal('EINVAL');
  }

  /** ip_vs_genl_parse_dest, and the ranges that ip_vs_add_dest checks. */
  #destinationIn(command: number, message: Message, service: Service): Destination {
    const { destination } = this.#family.decode(message);
    if (destination === undefined) throw new Refusal('EINVAL');
    const { forwarding, weight, upperThreshold = 0, lowerThreshold = 0 } = destination;
    const given = { ...destination, family: destination.family ?? service.family };
    if (command === Command.deleteDestination) return given;
    if (
      forwarding === undefined ||
      weight === undefined ||
      [destination.upperThreshold, destination.lowerThreshold].includes(undefined)
    )
      throw new Refusal('EINVAL');
    if (given.family !== service.family && forwarding !== 'tunnel') throw new Refusal('EINVAL');
    if (weight > largestWeight || lowerThreshold > upperThreshold) throw new Refusal('ERANGE');
    return given;
  }

  #record(operation: IpvsOperation): void {
    this.changed(operation);
  }
}

/** The flags under the mask as they are given, the others as they were. */
const withFlags = (service: Service, before: number): Service => {
  const { flags = 0, mask = 0 } = service.flags ?? {};
  return { ...service, flags: { flags: (before & ~mask) | (flags & mask) | hashed, mask: 0xffffffff } };
};
