import { families, type Family, type IpAddress } from '../../base/ip.js';
import type { InstanceNames } from '../../model/instance-names.js';
import type { AddressOperation, Outcome } from '../../model/operation.js';
import { vipRouteProtocol } from '../../model/settings/vip-binding.js';
import { Connection, type SentCounts } from '../../netlink/connection.js';
import type { Reopened } from '../../netlink/reopening-channel.js';
import { NetlinkError } from '../../netlink/errors.js';
import type { Message, Request } from '../../netlink/message.js';
import { routeShapeOf } from './attributes.js';
import {
  addressFrom,
  addressRequest,
  createDummyRequest,
  deleteLinkRequest,
  gatewaysFrom,
  getAddressesRequest,
  getLinkRequest,
  getRoutesRequest,
  interfaceOf,
  linkFrom,
  type Link,
  type LinkAddress,
} from './convert.js';
import {
  addressOfKernelRoute,
  foreignLocalRouteFrom,
  getLocalRoutesRequest,
  kernelProtocol,
  vipOfRoute,
  vipRouteRequest,
  type ForeignLocalRoute,
} from './vip-routes.js';

const isPresent = <T>(value: T | undefined): value is T => value !== undefined;

/** Interfaces and addresses of the network namespace that the process was in when the client was opened. Its methods reject with NetlinkError and ProtocolError. */
export class RtnetlinkClient {
  readonly #connection: Connection;

  private constructor(
    connection: Connection,
    private readonly routeMetric: number,
  ) {
    this.#connection = connection;
    connection.registerShapes(routeShapeOf);
  }

  /** `names`: the instance whose local routes the client reads and changes. A NetlinkError where the socket cannot be opened. */
  static open(
    { routeMetric }: Pick<InstanceNames, 'routeMetric'>,
    connection: Connection = Connection.open('route'),
  ): RtnetlinkClient {
    return new RtnetlinkClient(connection, routeMetric);
  }

  get sent(): SentCounts {
    return this.#connection.sent;
  }

  /** Calls the listener after a failed socket was replaced by another one. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#connection.onReopened(listener);
  }

  /** For `watchRoute`, to leave out the changes that this client makes. */
  get portId(): number {
    return this.#connection.portId;
  }

  async links(): Promise<readonly Link[]> {
    return this.#connection.whenIdle(() =>
      this.#connection.dump(getLinkRequest()).map(linkFrom).filter(isPresent),
    );
  }

  /** Undefined where no interface has the name. */
  async link(name: string): Promise<Link | undefined> {
    try {
      return await this.#connection.whenIdle(() => this.#connection.request(getLinkRequest(name), linkFrom));
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === 'ENODEV') return undefined;
      throw error;
    }
  }

  /** Fails with EEXIST for a name in use, with EOPNOTSUPP where the kernel has no dummy driver. */
  async createDummy(name: string): Promise<Outcome> {
    return this.#perform(createDummyRequest(name));
  }

  /** Fails with ENODEV where there is no such interface. */
  async deleteLink(index: number): Promise<Outcome> {
    return this.#perform(deleteLinkRequest(index));
  }

  /** IPv4 and IPv6, of all interfaces or only the one with this index; yields to the event loop. */
  async addresses({ only }: { readonly only?: number } = {}): Promise<readonly LinkAddress[]> {
    const names = new Map((await this.links()).map((link) => [link.index, link.name]));
    const nameOf = (index: number): string => names.get(index) ?? '';
    return this.#connection.dumpIncrementally(getAddressesRequest, (message) =>
      only === undefined || interfaceOf(message) === only ? addressFrom(message, nameOf) : undefined,
    );
  }

  /** The gateways of all routes of the families, in all tables and paths. */
  async gateways(served: readonly Family[]): Promise<ReadonlySet<IpAddress>> {
    const gatewaysOf = (family: Family): readonly IpAddress[] =>
      this.#connection.dump(getRoutesRequest(family)).flatMap(gatewaysFrom);
    return this.#connection.whenIdle(() => new Set(served.flatMap(gatewaysOf)));
  }

  /** The VIPs that have a local route of ours. */
  async vipRoutes(): Promise<readonly IpAddress[]> {
    const vipsOf = (family: Family): readonly (IpAddress | undefined)[] =>
      this.#connection
        .dump(getLocalRoutesRequest(family, vipRouteProtocol))
        .map((message) => vipOfRoute(message, this.routeMetric));
    return this.#connection.whenIdle(() => families.flatMap(vipsOf).filter(isPresent));
  }

  /** The IPv6 addresses of this machine for which the kernel has entered a local route; it does that after it accepts an address. */
  async localIpv6Addresses(): Promise<ReadonlySet<IpAddress>> {
    const routes = (): readonly Message[] =>
      this.#connection.dump(getLocalRoutesRequest('IPv6', kernelProtocol));
    return this.#connection.whenIdle(() => new Set(routes().map(addressOfKernelRoute).filter(isPresent)));
  }

  /** Routes to single addresses in the table local that neither the kernel nor kube-ipvs made. */
  async foreignLocalRoutes(): Promise<readonly ForeignLocalRoute[]> {
    const routesOf = (family: Family): readonly (ForeignLocalRoute | undefined)[] =>
      this.#connection.dump(getLocalRoutesRequest(family)).map(foreignLocalRouteFrom);
    return this.#connection.whenIdle(() => families.flatMap(routesOf).filter(isPresent));
  }

  /**
   * Binds and unbinds VIPs, as /32 and /128 addresses of the interface or as local routes, with few system calls; one outcome for
   * each, in their order.
   */
  async apply(interfaceIndex: number, operations: readonly AddressOperation[]): Promise<readonly Outcome[]> {
    return this.#connection.batch(operations, (operation) =>
      operation.binding === 'route'
        ? vipRouteRequest(operation, this.routeMetric)
        : addressRequest(interfaceIndex, operation),
    );
  }

  close(): void {
    this.#connection.close();
  }

  async #perform(request: Request): Promise<Outcome> {
    const [outcome] = await this.#connection.batch([request], (one) => one);
    return outcome ?? { status: 'unknown' };
  }
}
