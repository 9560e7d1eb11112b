import { familyOf, hostPrefixLength, type IpAddress } from '../base/ip.js';
import type { LinkAddress } from '../kernel/rtnetlink/convert.js';
import type { ForeignLocalRoute } from '../kernel/rtnetlink/vip-routes.js';
import { vipRouteProtocol, type VipBinding } from '../model/settings/vip-binding.js';
import type { NetworkFacts } from './facts.js';
import { advise, type Remedy } from './remedy.js';

/** A VIP that is bound. */
export interface BoundVip {
  readonly address: IpAddress;
  readonly binding: VipBinding;
  /** The interface that has the address, if it is bound so. */
  readonly dummyInterface: string;
}

export const boundVips = ({ addresses, vipRoutes, dummyInterface }: NetworkFacts): readonly BoundVip[] => [
  ...addresses
    .filter(({ interfaceName }) => interfaceName === dummyInterface)
    .map(({ address }) => ({ address, binding: 'address', dummyInterface }) as const),
  ...vipRoutes.map((address) => ({ address, binding: 'route', dummyInterface }) as const),
];

const ipRoute = (address: IpAddress): string => (familyOf(address) === 'IPv4' ? 'ip route' : 'ip -6 route');

/** An operator does the rest alike. */
const maximumRemovals = 3;

export const addressRemovals = (addresses: readonly LinkAddress[]): readonly Remedy[] =>
  addresses
    .slice(0, maximumRemovals)
    .map(({ address, prefixLength, interfaceName }) =>
      advise(
        `Remove ${address} from ${interfaceName}.`,
        `ip address del ${address}/${prefixLength} dev ${interfaceName}`,
      ),
    );

export const routeRemovals = (routes: readonly ForeignLocalRoute[]): readonly Remedy[] =>
  routes
    .slice(0, maximumRemovals)
    .map(({ address, type, protocol }) =>
      advise(
        `Delete the ${type} route to ${address}.`,
        `${ipRoute(address)} del ${type} ${address} table local proto ${protocol}`,
      ),
    );

const vipRemoval = ({ address, binding, dummyInterface }: BoundVip): Remedy =>
  binding === 'address'
    ? advise(
        `Remove ${address} from ${dummyInterface}.`,
        `ip address del ${address}/${hostPrefixLength(familyOf(address))} dev ${dummyInterface}`,
      )
    : advise(
        `Delete the local route to ${address}.`,
        `${ipRoute(address)} del local ${address} table local proto ${vipRouteProtocol}`,
      );

export const vipRemovals = (vips: readonly BoundVip[]): readonly Remedy[] =>
  vips.slice(0, maximumRemovals).map(vipRemoval);
