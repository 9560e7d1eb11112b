import {
  families,
  familyOf,
  hostPrefixLength,
  ipFromBytes,
  ipFromView,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import type { InterfaceAddress } from '../../model/node.js';
import type { AddressOperation } from '../../model/operation.js';
import { formatOperation } from '../../model/plan-entry.js';
import { valueLength } from '../../netlink/codec/attributes.js';
import { AddressFamily, hostIsLittleEndian, MessageFlag } from '../../netlink/constants.js';
import { ProtocolError } from '../../netlink/errors.js';
import type { Message, Request } from '../../netlink/message.js';
import {
  addressHeader,
  addressShape,
  interfaceIndexOffset,
  linkIsUp,
  linkShape,
  prefixLengthOffset,
  RouteMessage,
  routeShape,
  withoutStatistics,
} from './attributes.js';
import type { NextHop } from './next-hops.js';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** As `dummy`, `veth`; undefined for hardware and loopback. */
  readonly kind: string | undefined;
  readonly up: boolean;
}

/** An address of an interface of this machine. In events, the name is '' for an interface that is not known yet. */
export interface LinkAddress extends InterfaceAddress {
  readonly interfaceIndex: number;
}

/** Undefined for messages of other families (bridges), which use the same types. */
export const linkFrom = (message: Message): Link | undefined => {
  const { header, attributes } = linkShape.read(message);
  if (header.family !== 'unspecified') return undefined;
  if (attributes.name === undefined) throw new ProtocolError('is missing', 'link.name');
  return {
    index: header.index,
    name: attributes.name,
    kind: attributes.information?.kind,
    up: (header.flags & linkIsUp) !== 0,
  };
};

/** The index of the interface that has the address. */
export const interfaceOf = ({ view, bodyOffset, bodyLength }: Message): number => {
  if (bodyLength < addressHeader.length) throw new ProtocolError(`has ${bodyLength} bytes`, 'address');
  return view.getUint32(bodyOffset + interfaceIndexOffset, hostIsLittleEndian);
};

const familyOfMessage = ({ view, bodyOffset }: Message): Family | undefined => {
  const number = view.getUint8(bodyOffset);
  return families.find((family) => AddressFamily[family] === number);
};

/**
 * Undefined for families other than IPv4 and IPv6. `nameOf` knows interfaces by index. Decodes no more than that: a resync reads
 * the addresses of all VIPs.
 */
export const addressFrom = (
  message: Message,
  nameOf: (interfaceIndex: number) => string,
): LinkAddress | undefined => {
  const interfaceIndex = interfaceOf(message);
  const family = familyOfMessage(message);
  if (family === undefined) return undefined;
  const { view, bodyOffset } = message;
  const start = addressShape.valueOffset(message, 'local') ?? addressShape.valueOffset(message, 'address');
  if (start === undefined) throw new ProtocolError('is missing', 'address.address');
  const length = valueLength(view, start);
  if (length !== hostPrefixLength(family) / 8)
    throw new ProtocolError(`${length} bytes of ${family}`, 'address.address');
  return {
    address: ipFromView(view, start, family),
    prefixLength: view.getUint8(bodyOffset + prefixLengthOffset),
    interfaceIndex,
    interfaceName: nameOf(interfaceIndex),
  };
};

/** Binds or unbinds a host address: /32 or /128, as kube-proxy does. */
export const addressRequest = (interfaceIndex: number, operation: AddressOperation): Request => {
  const binds = operation.kind === 'bind-address';
  return {
    type: binds ? RouteMessage.newAddress : RouteMessage.deleteAddress,
    flags: binds ? MessageFlag.create | MessageFlag.exclusive : 0,
    operation: () => formatOperation(operation),
    shape: addressShape,
    write: (writer) => {
      const family = familyOf(operation.address);
      addressShape.write(
        writer,
        { family, prefixLength: hostPrefixLength(family), index: interfaceIndex },
        { local: operation.address, address: operation.address },
      );
    },
  };
};

/** A dummy device without a transmit queue, down, as kube-proxy creates it. */
export const createDummyRequest = (name: string): Request => ({
  type: RouteMessage.newLink,
  flags: MessageFlag.create | MessageFlag.exclusive,
  operation: () => `create the dummy interface ${name}`,
  shape: linkShape,
  write: (writer) =>
    linkShape.write(writer, {}, { name, transmitQueueLength: 0, information: { kind: 'dummy' } }),
});

export const deleteLinkRequest = (index: number): Request => ({
  type: RouteMessage.deleteLink,
  flags: 0,
  operation: () => `delete interface ${index}`,
  shape: linkShape,
  write: (writer) => linkShape.write(writer, { index }, {}),
});

/** One interface by its name; without a name a dump of all. */
export const getLinkRequest = (name?: string): Request => ({
  type: RouteMessage.getLink,
  flags: 0,
  operation: () => (name === undefined ? 'list the interfaces' : `read interface ${name}`),
  shape: linkShape,
  write: (writer) => linkShape.write(writer, {}, { name, filter: withoutStatistics }),
});

export const getAddressesRequest: Request = {
  type: RouteMessage.getAddress,
  flags: 0,
  operation: () => 'list the addresses',
  shape: addressShape,
  write: (writer) => addressShape.write(writer, {}, {}),
};

/** Routes of a family, in all tables. Kernels before 4.20 also send routes of other types, such as one for every local address. */
export const getRoutesRequest = (family: Family): Request => ({
  type: RouteMessage.getRoute,
  flags: 0,
  operation: () => `list the routes of ${family}`,
  shape: routeShape,
  write: (writer) => routeShape.write(writer, { family, type: 'unicast' }, {}),
});

/** struct rtvia: a family (two bytes), then an address. */
const viaHeaderLength = 2;

const gatewayOf = ({ gateway, via }: NextHop): readonly IpAddress[] => {
  const bytes = gateway ?? via?.subarray(viaHeaderLength);
  return bytes?.length === 4 || bytes?.length === 16 ? [ipFromBytes(bytes)] : [];
};

/** The gateways of a route: none for a directly connected or unreachable one, several for a multipath one. */
export const gatewaysFrom = (message: Message): readonly IpAddress[] => {
  const { header, attributes } = routeShape.read(message);
  if (header.type !== 'unicast') return [];
  return [attributes, ...(attributes.nextHops ?? [])].flatMap(gatewayOf);
};
