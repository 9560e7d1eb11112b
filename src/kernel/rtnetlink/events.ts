import type { IpAddress } from '../../base/ip.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { vipRouteProtocol } from '../../model/settings/vip-binding.js';
import { EventSocket } from '../../netlink/event-socket.js';
import type { Message } from '../../netlink/message.js';
import type { OnlyEvents } from '../../netlink/socket-filter.js';
import {
  localTable,
  RouteGroup,
  RouteMessage,
  routeProtocolOffset,
  routeShapeOf,
  routeTableOffset,
} from './attributes.js';
import { addressFrom, linkFrom, type Link, type LinkAddress } from './convert.js';
import { vipOfRoute } from './vip-routes.js';

/**
 * A change of an interface, an address or a local route of ours; `interfaceName` of an address is '' until an event of its link
 * came.
 */
export type RtnetlinkEvent =
  | { readonly kind: 'link' | 'link-gone'; readonly link: Link }
  | { readonly kind: 'address' | 'address-gone'; readonly address: LinkAddress }
  | { readonly kind: 'route' | 'route-gone'; readonly vip: IpAddress };

export interface RtnetlinkListener {
  event(event: RtnetlinkEvent): void;
  /** The kernel dropped events because the receive buffer was full: read everything again. */
  lost(): void;
  /** The socket failed, or a method of the listener threw. */
  failed(error: Error): void;
}

const linkEvent = (kind: 'link' | 'link-gone', link: Link | undefined): RtnetlinkEvent | undefined =>
  link === undefined ? undefined : { kind, link };

const addressEvent = (
  kind: 'address' | 'address-gone',
  address: LinkAddress | undefined,
): RtnetlinkEvent | undefined => (address === undefined ? undefined : { kind, address });

const routeEvent = (kind: 'route' | 'route-gone', vip: IpAddress | undefined): RtnetlinkEvent | undefined =>
  vip === undefined ? undefined : { kind, vip };

/** The event in a message of the watched groups; undefined for other messages. It updates `names`. `routeMetric`: of our routes. */
export const rtnetlinkEventFrom = (
  message: Message,
  names: Map<number, string>,
  routeMetric: number,
): RtnetlinkEvent | undefined => {
  const nameOf = (index: number): string => names.get(index) ?? '';
  switch (message.type) {
    case RouteMessage.newLink: {
      const link = linkFrom(message);
      if (link !== undefined) names.set(link.index, link.name);
      return linkEvent('link', link);
    }
    case RouteMessage.deleteLink: {
      const link = linkFrom(message);
      if (link !== undefined) names.delete(link.index);
      return linkEvent('link-gone', link);
    }
    case RouteMessage.newAddress:
      return addressEvent('address', addressFrom(message, nameOf));
    case RouteMessage.deleteAddress:
      return addressEvent('address-gone', addressFrom(message, nameOf));
    case RouteMessage.newRoute:
      return routeEvent('route', vipOfRoute(message, routeMetric));
    case RouteMessage.deleteRoute:
      return routeEvent('route-gone', vipOfRoute(message, routeMetric));
    default:
      return undefined;
  }
};

/** Of the events of routes, those about local routes of ours. A node with a routing daemon has very many others. */
const vipRoutesOnly: OnlyEvents = {
  types: [RouteMessage.newRoute, RouteMessage.deleteRoute],
  bytes: [
    { offset: routeTableOffset, value: localTable },
    { offset: routeProtocolOffset, value: vipRouteProtocol },
  ],
};

/**
 * Watches for changes of links, addresses and local routes of ours, except those that `ignoredPortId` requested: otherwise ten
 * thousand bound addresses would cause ten thousand events. Events of IPv6 addresses do not carry the port, so they come in any
 * case. Throws a NetlinkError where the socket cannot be opened.
 */
export const watchRtnetlink = (
  listener: RtnetlinkListener,
  { routeMetric }: Pick<InstanceNames, 'routeMetric'>,
  options: { readonly receiveBufferBytes?: number; readonly ignoredPortId?: number } = {},
): EventSocket => {
  const names = new Map<number, string>();
  return EventSocket.open('route', Object.values(RouteGroup), {
    ...options,
    only: vipRoutesOnly,
    shapeOf: routeShapeOf,
    message: (message) => {
      const event = rtnetlinkEventFrom(message, names, routeMetric);
      if (event !== undefined) listener.event(event);
    },
    lost: () => listener.lost(),
    failed: (error) => listener.failed(error),
  });
};
