import {
  familyOf,
  hostPrefixLength,
  ipFromBytes,
  type Family,
  type IpAddress,
} from '../../../src/base/ip.js';
import {
  localTable,
  routeAttributes,
  RouteGroup,
  routeHeader,
  RouteMessage,
  routeShape,
  type RouteType,
} from '../../../src/kernel/rtnetlink/attributes.js';
import { kernelProtocol } from '../../../src/kernel/rtnetlink/vip-routes.js';
import type { AddressOperation } from '../../../src/model/operation.js';
import { vipRouteProtocol } from '../../../src/model/settings/vip-binding.js';
import { MessageFlag } from '../../../src/netlink/constants.js';
import type { Message } from '../../../src/netlink/message.js';
import { writeAllAttributes } from '../attribute-sets.js';
import { done, Refusal, type Answer, type Body, type Notify } from './answer.js';

interface Route {
  readonly address: IpAddress;
  readonly type: RouteType;
  readonly protocol: number;
  readonly priority: number;
  readonly index: number;
}

const groups = { IPv4: RouteGroup.ipv4Route, IPv6: RouteGroup.ipv6Route } as const;
/** Port of what the kernel does by itself or for another program. */
const otherPort = 0;

/** include/uapi/linux/ipv6_route.h: IP6_RT_PRIO_USER, for requests without a priority */
const defaultPriority = { IPv4: 0, IPv6: 1024 } as const;

/** RTPROT_STATIC */
const staticProtocol = 4;

/** Routes to single addresses in the table local, by the rules of net/ipv4/fib_trie.c, net/ipv6/route.c and net/ipv6/addrconf.c. */
export class FakeLocalRoutes {
  #routes: readonly Route[] = [];
  /** IPv6 addresses whose routes were looked for once: the kernel enters them late. */
  #entered: ReadonlySet<IpAddress> = new Set();
  #generation = 0;

  /** `changed` is called before each change of a route of kube-ipvs. */
  constructor(
    private readonly notify: Notify,
    private readonly changed: (operation: AddressOperation) => void,
    private readonly linkAt: (index: number) => { readonly up: boolean } | undefined,
    private readonly addresses: () => readonly { readonly index: number; readonly address: IpAddress }[],
  ) {}

  /** Those of kube-ipvs. */
  vips(): readonly IpAddress[] {
    return this.#routes.filter(isOurs).map(({ address }) => address);
  }

  /** Those of other programs. */
  foreign(): readonly IpAddress[] {
    return this.#routes.filter((route) => !isOurs(route)).map(({ address }) => address);
  }

  /** Another program adds a route of its own through lo. */
  addForeign(address: IpAddress): void {
    const priority = defaultPriority[familyOf(address)];
    this.#add({ address, type: 'local', protocol: staticProtocol, priority, index: 1 }, otherPort);
  }

  /** Another program deletes the route of kube-ipvs. */
  remove(address: IpAddress): void {
    const found = this.#routes.find((route) => isOurs(route) && route.address === address);
    if (found !== undefined) this.#remove(found, otherPort);
  }

  /** Another program adds a route as kube-ipvs does it. */
  add(address: IpAddress): void {
    if (this.vips().includes(address)) return;
    const protocol = vipRouteProtocol;
    this.#add({ address, type: 'local', protocol, priority: protocol, index: 1 }, otherPort);
  }

  change(message: Message, portId: number): Answer {
    const { header, attributes } = routeShape.read(message);
    const { family, table, type, protocol, destinationLength } = header;
    if (table !== localTable || (family !== 'IPv4' && family !== 'IPv6')) throw new Refusal('EOPNOTSUPP');
    if (attributes.destination === undefined || destinationLength !== hostPrefixLength(family))
      throw new Refusal('EOPNOTSUPP');
    const address = ipFromBytes(attributes.destination);
    const { priority = 0, outgoingInterface: index = 0 } = attributes;
    if (message.type === RouteMessage.deleteRoute)
      this.#deleteMatching({ address, protocol, priority, index }, portId);
    else this.#addNew({ address, type: type ?? 'unspec', protocol, priority, index }, message, portId);
    return done;
  }

  dump(message: Message): Answer {
    const { family, protocol } = routeShape.read(message).header;
    const objects = (): readonly Body[] =>
      [...this.#ofAddresses(), ...this.#routes]
        .filter(
          (route) => familyOf(route.address) === family && (protocol === 0 || route.protocol === protocol),
        )
        .map(bodyOf);
    return { kind: 'dump', type: RouteMessage.newRoute, objects, generation: () => this.#generation };
  }

  #ofAddresses(): readonly Route[] {
    const all = this.addresses();
    const routes = all
      .filter(({ address }) => familyOf(address) === 'IPv4' || this.#entered.has(address))
      .map((one): Route => ({ ...one, type: 'local', protocol: kernelProtocol, priority: 0 }));
    this.#entered = new Set(all.map(({ address }) => address));
    return routes;
  }

  #addNew(given: Route, message: Message, portId: number): void {
    const family = familyOf(given.address);
    const link = this.linkAt(given.index);
    if (link === undefined) throw new Refusal('ENODEV');
    if (family === 'IPv6' && !link.up) throw new Refusal('ENETDOWN');
    const route = { ...given, priority: given.priority === 0 ? defaultPriority[family] : given.priority };
    const found = this.#routes.find(
      ({ address, priority }) => address === route.address && priority === route.priority,
    );
    if (found !== undefined && (message.flags & MessageFlag.exclusive) !== 0) throw new Refusal('EEXIST');
    this.#add(route, portId);
  }

  /** What the request leaves open is not compared. */
  #deleteMatching({ address, protocol, priority, index }: Omit<Route, 'type'>, portId: number): void {
    const found = this.#routes.find(
      (route) =>
        route.address === address &&
        [0, route.protocol].includes(protocol) &&
        [0, route.priority].includes(priority) &&
        [0, route.index].includes(index),
    );
    if (found === undefined) throw new Refusal('ESRCH');
    this.#remove(found, portId);
  }

  #add(route: Route, portId: number): void {
    if (isOurs(route)) this.changed({ kind: 'bind-address', address: route.address, binding: 'route' });
    this.#routes = [...this.#routes, route];
    this.#notify(RouteMessage.newRoute, route, portId);
  }

  #remove(route: Route, portId: number): void {
    if (isOurs(route)) this.changed({ kind: 'unbind-address', address: route.address, binding: 'route' });
    this.#routes = this.#routes.filter((one) => one !== route);
    this.#notify(RouteMessage.deleteRoute, route, portId);
  }

  #notify(type: number, route: Route, portId: number): void {
    this.#generation += 1;
    const family: Family = familyOf(route.address);
    this.notify({ protocol: 'route', group: groups[family], type, portId, body: bodyOf(route) });
  }
}

const isOurs = ({ type, protocol, priority }: Route): boolean =>
  type === 'local' && protocol === vipRouteProtocol && priority === vipRouteProtocol;

const bodyOf =
  ({ address, type, protocol, priority, index }: Route): Body =>
  (writer) => {
    const family = familyOf(address);
    const destinationLength = hostPrefixLength(family);
    routeHeader.write(writer, { family, destinationLength, table: localTable, protocol, type });
    writeAllAttributes(writer, routeAttributes, { destination: address, outgoingInterface: index, priority });
  };
