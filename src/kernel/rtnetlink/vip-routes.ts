import { familyOf, hostPrefixLength, ipFromBytes, type Family, type IpAddress } from '../../base/ip.js';
import type { AddressOperation } from '../../model/operation.js';
import { formatOperation } from '../../model/plan-entry.js';
import { vipRouteProtocol } from '../../model/settings/vip-binding.js';
import { MessageFlag } from '../../netlink/constants.js';
import type { Message, Request } from '../../netlink/message.js';
import { hostScope, localTable, RouteMessage, routeShape, type RouteType } from './attributes.js';

/**
 * include/net/net_namespace.h: LOOPBACK_IFINDEX, the device of our routes. kube-ipvs0 does not do: it is down, and IPv6 routes need
 * a device that is up (net/ipv6/route.c, fib6_nh_init); and with the last IPv4 address of a device, the kernel deletes all IPv4
 * routes through it without a notification (net/ipv4/fib_frontend.c, fib_inetaddr_event).
 */
const loopbackIndex = 1;

const headerOf = (family: Family) => ({
  family,
  destinationLength: hostPrefixLength(family),
  table: localTable,
  protocol: vipRouteProtocol,
  scope: family === 'IPv4' ? hostScope : 0,
  type: 'local' as const,
});

/**
 * Adds or deletes the local route of a VIP. No route of another program has the metric of an instance, so ours never takes the
 * place of one, and a route that exists is ours. The kernel prefers the routes of addresses, whose metric is 0.
 */
export const vipRouteRequest = (operation: AddressOperation, metric: number): Request => {
  const binds = operation.kind === 'bind-address';
  return {
    type: binds ? RouteMessage.newRoute : RouteMessage.deleteRoute,
    flags: binds ? MessageFlag.create | MessageFlag.exclusive : 0,
    operation: () => formatOperation(operation),
    shape: routeShape,
    write: (writer) => {
      const { address } = operation;
      routeShape.write(writer, headerOf(familyOf(address)), {
        destination: address,
        outgoingInterface: loopbackIndex,
        priority: metric,
      });
    },
  };
};

/** Routes of a family in the table local, all or those of a protocol. Kernels before 4.20 send those of all tables. */
export const getLocalRoutesRequest = (family: Family, protocol = 0): Request => ({
  type: RouteMessage.getRoute,
  flags: 0,
  operation: () => `list the local routes of ${family}`,
  shape: routeShape,
  write: (writer) => routeShape.write(writer, { family, table: localTable, protocol }, {}),
});

/** A route to one address in the table local. */
interface LocalRoute {
  readonly address: IpAddress;
  /** As `ip route` names it. */
  readonly type: RouteType;
  /** rtm_protocol */
  readonly protocol: number;
  readonly metric: number;
}

const localRouteFrom = (message: Message): LocalRoute | undefined => {
  const { header, attributes } = routeShape.read(message);
  const { family, destinationLength, table, protocol, type } = header;
  if (table !== localTable || (family !== 'IPv4' && family !== 'IPv6') || type === undefined)
    return undefined;
  if (destinationLength !== hostPrefixLength(family) || attributes.destination === undefined)
    return undefined;
  return { address: ipFromBytes(attributes.destination), type, protocol, metric: attributes.priority ?? 0 };
};

const isOfKubeIpvs = ({ type, protocol }: LocalRoute): boolean =>
  type === 'local' && protocol === vipRouteProtocol;

/** The VIP of a local route of kube-ipvs with the metric of the instance; undefined for every other route. */
export const vipOfRoute = (message: Message, metric: number): IpAddress | undefined => {
  const route = localRouteFrom(message);
  return route !== undefined && isOfKubeIpvs(route) && route.metric === metric ? route.address : undefined;
};

/** A route to one address in the table local that neither the kernel nor kube-ipvs made. */
export type ForeignLocalRoute = LocalRoute;

/** include/uapi/linux/rtnetlink.h: RTPROT_KERNEL */
export const kernelProtocol = 2;

/** The address of a local route of the kernel; undefined for every other route. */
export const addressOfKernelRoute = (message: Message): IpAddress | undefined => {
  const route = localRouteFrom(message);
  return route?.type === 'local' && route.protocol === kernelProtocol ? route.address : undefined;
};

export const foreignLocalRouteFrom = (message: Message): ForeignLocalRoute | undefined => {
  const route = localRouteFrom(message);
  return route === undefined || route.protocol === kernelProtocol || isOfKubeIpvs(route) ? undefined : route;
};
