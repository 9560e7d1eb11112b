import type { Family, IpAddress } from '../../base/ip.js';

export const vipBindingNames = ['address', 'route'] as const;

/**
 * How a VIP is made local, so that the kernel delivers its packets to IPVS: as an address of kube-ipvs0, as kube-proxy does it,
 * or as a route of type local.
 */
export type VipBinding = (typeof vipBindingNames)[number];

/** The bindings of a VIP: none, one, or, while one takes the place of the other, both. */
export type VipBindings = readonly VipBinding[];

/**
 * rtm_protocol of our routes (include/uapi/linux/rtnetlink.h): `ip route show table local proto 73` lists them.
 * No program of rt_protos of iproute2 has this number.
 */
export const vipRouteProtocol = 73;

const none: VipBindings = [];
const byAddress: VipBindings = ['address'];
const byRoute: VipBindings = ['route'];
const byBoth: VipBindings = ['address', 'route'];

/** The same object for the same bindings. */
export const vipBindings = ({
  address,
  route,
}: Readonly<Partial<Record<VipBinding, boolean>>>): VipBindings => {
  if (address === true) return route === true ? byBoth : byAddress;
  return route === true ? byRoute : none;
};

/** One binding. */
export const onlyBinding = (binding: VipBinding): VipBindings => (binding === 'route' ? byRoute : byAddress);

export const noBinding: VipBindings = none;

/** Whether the VIP is local in at least one of the two ways. */
export const isBound = (view: { bindings(address: IpAddress): VipBindings }, address: IpAddress): boolean =>
  view.bindings(address).length > 0;

/** The VIPs of each binding. */
export type BoundVips = Readonly<Record<VipBinding, readonly IpAddress[]>>;

/**
 * Whether the node's own packets to a VIP have the VIP as their source. Linux never takes an IPv6 address that
 * is only a local route as a source (net/ipv6/addrconf.c, ipv6_dev_get_saddr).
 */
export const hasVipAsOwnSource = (binding: VipBinding, family: Family): boolean =>
  family === 'IPv4' || binding === 'address';
