import { defaultInstance } from '../../../src/model/instance-names.js';
import { familyOf, hostPrefixLength, ipFromBytes, type IpAddress } from '../../../src/base/ip.js';
import {
  addressAttributes,
  addressHeader,
  addressShape,
  linkAttributes,
  linkHeader,
  linkIsUp,
  linkShape,
  localTable,
  routeAttributes,
  routeHeader,
  RouteGroup,
  RouteMessage,
  routeShape,
} from '../../../src/kernel/rtnetlink/attributes.js';
import type { AddressOperation } from '../../../src/model/operation.js';
import { MessageFlag } from '../../../src/netlink/constants.js';
import type { Message } from '../../../src/netlink/message.js';
import { writeAllAttributes } from '../attribute-sets.js';
import { interfaceAddress } from '../objects.js';
import { done, Refusal, type Answer, type Body, type Notify } from './answer.js';
import { FakeLocalRoutes } from './fake-local-routes.js';

interface Link {
  readonly index: number;
  readonly name: string;
  readonly kind: string | undefined;
  up: boolean;
}

interface Address {
  readonly index: number;
  readonly address: IpAddress;
  readonly prefixLength: number;
}

const groups = { IPv4: RouteGroup.ipv4Address, IPv6: RouteGroup.ipv6Address } as const;
const kinds = ['dummy', 'veth', 'bridge'];
/** Port of what the kernel does by itself or for another program. */
const otherPort = 0;

const isExclusive = ({ flags }: Message): boolean => (flags & MessageFlag.exclusive) !== 0;
const isDump = ({ flags }: Message): boolean => (flags & MessageFlag.dump) === MessageFlag.dump;

/**
 * Links, addresses, local routes and gateways of one network namespace, by the rules of net/core/rtnetlink.c, net/ipv4/devinet.c and
 * net/ipv6/addrconf.c.
 */
export class FakeRtnetlink {
  readonly #links = new Map<number, Link>([[1, { index: 1, name: 'lo', kind: undefined, up: true }]]);
  #addresses: Address[] = [];
  readonly routes: FakeLocalRoutes;
  readonly gateways: IpAddress[] = [];
  #nextIndex = 2;
  #generation = 0;

  /** `changed` is called before each change of the addresses of kube-ipvs0 and of the local routes of kube-ipvs. */
  constructor(
    private readonly notify: Notify,
    private readonly changed: (operation: AddressOperation) => void,
  ) {
    this.routes = new FakeLocalRoutes(
      notify,
      changed,
      (index) => this.#links.get(index),
      () => this.#addresses,
    );
  }

  /** The host addresses of kube-ipvs0. */
  dummyAddresses(): readonly IpAddress[] {
    const index = this.#linkNamed(defaultInstance.dummyInterface)?.index;
    return this.#addresses.filter((one) => one.index === index).map(({ address }) => address);
  }

  /** Every address of other interfaces, as `eth0 10.0.0.1/24`. */
  nodeAddresses(): readonly string[] {
    return this.#addresses.flatMap(({ index, address, prefixLength }) => {
      const { name = '' } = this.#links.get(index) ?? {};
      return name === defaultInstance.dummyInterface ? [] : [`${name} ${address}/${prefixLength}`];
    });
  }

  /** The machine's administrator adds `eth0 10.0.0.1/24`, the interface too where it is not there. */
  addAddress(text: string): void {
    const { interfaceName, address, prefixLength } = interfaceAddress(text);
    const link = this.#linkNamed(interfaceName) ?? this.#addLink(interfaceName, undefined);
    this.#add({ index: link.index, address, prefixLength }, otherPort);
  }

  /** Another program binds it to kube-ipvs0, where that is there. */
  bindDummyAddress(address: IpAddress): void {
    const index = this.#linkNamed(defaultInstance.dummyInterface)?.index;
    const added = { index: index ?? 0, address, prefixLength: hostPrefixLength(familyOf(address)) };
    if (index !== undefined && this.#find(added) === undefined) this.#add(added, otherPort);
  }

  removeAddress(text: string): void {
    const { interfaceName, address, prefixLength } = interfaceAddress(text);
    const index = this.#linkNamed(interfaceName)?.index;
    const found = this.#addresses.find(
      (one) => one.index === index && one.address === address && one.prefixLength === prefixLength,
    );
    if (found !== undefined) this.#remove(found, otherPort);
  }

  removeLink(name: string): void {
    const link = this.#linkNamed(name);
    if (link !== undefined) this.#removeLink(link);
  }

  handle(message: Message, portId: number): Answer {
    switch (message.type) {
      case RouteMessage.getLink:
        return isDump(message) ? this.#dumpLinks() : this.#getLink(message);
      case RouteMessage.newLink:
        return this.#newLink(message);
      case RouteMessage.deleteLink:
        return this.#deleteLink(message);
      case RouteMessage.getAddress:
        return this.#dumpAddresses();
      case RouteMessage.newAddress:
      case RouteMessage.deleteAddress:
        return this.#changeAddress(message, portId);
      case RouteMessage.getRoute:
        return routeShape.read(message).header.table === localTable
          ? this.routes.dump(message)
          : this.#dumpGateways(message);
      case RouteMessage.newRoute:
      case RouteMessage.deleteRoute:
        return this.routes.change(message, portId);
      default:
        throw new Refusal('EOPNOTSUPP');
    }
  }

  #linkNamed(name: string | undefined): Link | undefined {
    return [...this.#links.values()].find((link) => link.name === name);
  }

  #linkBody({ index, name, kind, up }: Link): Body {
    return (writer) => {
      linkHeader.write(writer, { index, type: 1, flags: up ? linkIsUp : 0 });
      writeAllAttributes(writer, linkAttributes, {
        name,
        mtu: 1500,
        information: kind === undefined ? undefined : { kind },
      });
    };
  }

  #dumpLinks(): Answer {
    const objects = () => [...this.#links.values()].map((link) => this.#linkBody(link));
    return { kind: 'dump', type: RouteMessage.newLink, objects, generation: () => this.#generation };
  }

  #getLink(message: Message): Answer {
    const { header, attributes } = linkShape.read(message);
    const found = this.#links.get(header.index) ?? this.#linkNamed(attributes.name);
    if (found === undefined) throw new Refusal('ENODEV');
    return { kind: 'message', type: RouteMessage.newLink, body: this.#linkBody(found) };
  }

  #newLink(message: Message): Answer {
    const { name, information } = linkShape.read(message).attributes;
    const found = this.#linkNamed(name);
    if (found !== undefined) {
      if (isExclusive(message)) throw new Refusal('EEXIST');
      return done;
    }
    if (name === undefined) throw new Refusal('EINVAL');
    if (!kinds.includes(information?.kind ?? ''))
      throw new Refusal('EOPNOTSUPP', { text: 'Unknown device type' });
    this.#addLink(name, information?.kind);
    return done;
  }

  #addLink(name: string, kind: string | undefined): Link {
    const link: Link = { index: this.#nextIndex, name, kind, up: kind === undefined };
    this.#nextIndex += 1;
    this.#links.set(link.index, link);
    this.#notifyLink(RouteMessage.newLink, link);
    return link;
  }

  #deleteLink(message: Message): Answer {
    const { header, attributes } = linkShape.read(message);
    const found = this.#links.get(header.index) ?? this.#linkNamed(attributes.name);
    if (found === undefined) throw new Refusal('ENODEV');
    if (found.index === 1) throw new Refusal('EOPNOTSUPP');
    this.#removeLink(found);
    return done;
  }

  #removeLink(link: Link): void {
    for (const address of this.#addresses.filter(({ index }) => index === link.index))
      this.#remove(address, otherPort);
    this.#links.delete(link.index);
    this.#notifyLink(RouteMessage.deleteLink, link);
  }

  #notifyLink(type: number, link: Link): void {
    this.#generation += 1;
    const body = this.#linkBody(link);
    this.notify({ protocol: 'route', group: RouteGroup.link, type, portId: otherPort, body });
  }

  #addressBody({ index, address, prefixLength }: Address): Body {
    return (writer) => {
      addressHeader.write(writer, { family: familyOf(address), prefixLength, index });
      const local = familyOf(address) === 'IPv4' ? address : undefined;
      writeAllAttributes(writer, addressAttributes, { address, local });
    };
  }

  #dumpAddresses(): Answer {
    const objects = () =>
      this.#addresses
        .toSorted((a, b) => (familyOf(a.address) < familyOf(b.address) ? -1 : 1))
        .map((address) => this.#addressBody(address));
    return { kind: 'dump', type: RouteMessage.newAddress, objects, generation: () => this.#generation };
  }

  #changeAddress(message: Message, portId: number): Answer {
    const { header, attributes } = addressShape.read(message);
    const bytes = attributes.local ?? attributes.address;
    if (bytes === undefined) throw new Refusal('EINVAL');
    if (!this.#links.has(header.index)) throw new Refusal('ENODEV');
    const wanted = {
      index: header.index,
      address: ipFromBytes(bytes),
      prefixLength: header.prefixLength,
    };
    const found = this.#find(wanted);
    if (message.type === RouteMessage.newAddress) {
      if (found !== undefined && isExclusive(message)) throw new Refusal('EEXIST');
      if (found === undefined) this.#add(wanted, portId);
    } else if (found === undefined) throw new Refusal('EADDRNOTAVAIL');
    else this.#remove(found, portId);
    return done;
  }

  /** The same IPv4 address may be there with several prefix lengths. */
  #find({ index, address, prefixLength }: Address): Address | undefined {
    return this.#addresses.find(
      (one) =>
        one.index === index &&
        one.address === address &&
        (one.prefixLength === prefixLength || familyOf(address) === 'IPv6'),
    );
  }

  #isOnDummy({ index }: Address): boolean {
    return this.#links.get(index)?.name === defaultInstance.dummyInterface;
  }

  #add(address: Address, portId: number): void {
    if (this.#isOnDummy(address))
      this.changed({ kind: 'bind-address', address: address.address, binding: 'address' });
    this.#addresses = [...this.#addresses, address];
    this.#notifyAddress(RouteMessage.newAddress, address, portId);
  }

  #remove(address: Address, portId: number): void {
    if (this.#isOnDummy(address))
      this.changed({ kind: 'unbind-address', address: address.address, binding: 'address' });
    this.#addresses = this.#addresses.filter((one) => one !== address);
    this.#notifyAddress(RouteMessage.deleteAddress, address, portId);
  }

  /** For IPv6 addresses the kernel does not report the port that made the change. */
  #notifyAddress(type: number, address: Address, asker: number): void {
    this.#generation += 1;
    const family = familyOf(address.address);
    const portId = family === 'IPv4' ? asker : otherPort;
    this.notify({ protocol: 'route', group: groups[family], type, portId, body: this.#addressBody(address) });
  }

  #dumpGateways(message: Message): Answer {
    const { family } = routeShape.read(message).header;
    const objects = (): readonly Body[] =>
      this.gateways
        .filter((gateway) => familyOf(gateway) === family)
        .map((gateway) => (writer) => {
          routeHeader.write(writer, { family, type: 'unicast' });
          writeAllAttributes(writer, routeAttributes, { gateway });
        });
    return { kind: 'dump', type: RouteMessage.newRoute, objects, generation: () => this.#generation };
  }
}
