import {
  families,
  familyOf,
  isHostAddress,
  isIpv6LinkLocal,
  isLoopback,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import type { Service } from '../../model/service.js';
import type { Problem } from './fragment.js';

/** The facts about this node that decide how addresses are served. */
export interface FrontendContext {
  /** The interface of each address, except addresses of kube-ipvs0. */
  readonly interfaceAddresses: ReadonlyMap<IpAddress, string>;
  /** The addresses of other machines, with the reason not to bind each. */
  readonly reserved: ReadonlyMap<IpAddress, string>;
  readonly nodePortAddresses: Readonly<Record<Family, readonly IpAddress[]>>;
  readonly externalIpsAllowed: boolean;
}

/** An address on which a Service port is served. */
export interface Frontend {
  readonly kind: keyof typeof frontendFields;
  readonly address: IpAddress;
  /** Whether to bind the address as a VIP. */
  readonly bind: boolean;
}

export interface Frontends {
  /** In order of precedence: of two frontends with the same address and port, the first one wins. */
  readonly byFamily: Readonly<Record<Family, readonly Frontend[]>>;
  readonly problems: readonly Problem[];
}

/** The field of the Service that defines a frontend, for messages. */
export const frontendFields = {
  'cluster-ip': 'spec.clusterIPs',
  'external-ip': 'spec.externalIPs',
  'load-balancer-ip': 'status.loadBalancer.ingress',
  'node-port': 'spec.ports[].nodePort',
} as const;

type Kind = keyof typeof frontendFields;

interface FrontendDecision {
  readonly serve: boolean;
  readonly bind: boolean;
  readonly problem: readonly [reason: string, message: string] | undefined;
}

/** Served, but not bound. */
const servedUnbound = (reason: string, message: string): FrontendDecision => ({
  serve: true,
  bind: false,
  problem: [reason, message],
});

/** An external address on an interface is common (keepalived, a floating address); a ClusterIP there is a mistake. */
const onInterface = (kind: Kind, owner: string): FrontendDecision =>
  kind === 'cluster-ip'
    ? servedUnbound(
        'ClusterIpOnInterface',
        `is an address of interface ${owner}, which a ClusterIP should not be: it is served and not bound`,
      )
    : servedUnbound('AddressOnInterface', `is an address of interface ${owner}: it is served and not bound`);

/**
 * kube-ipvs serves loopback and link-local addresses like kube-proxy, but does not bind them: loopback
 * addresses are local anyway, and a link-local address has no meaning on kube-ipvs0.
 */
const decideFrontend = (kind: Kind, address: IpAddress, context: FrontendContext): FrontendDecision => {
  if (!isHostAddress(address)) {
    const problem = ['UnusableAddress', 'is not a host address; it is not served'] as const;
    return { serve: false, bind: false, problem };
  }
  if (isLoopback(address) || isIpv6LinkLocal(address))
    return servedUnbound(
      'LocalAddress',
      'is a loopback or link-local address: it is served on this node only and not bound',
    );
  const owner = context.interfaceAddresses.get(address);
  if (owner !== undefined) return onInterface(kind, owner);
  const reason = context.reserved.get(address);
  if (reason === undefined) return { serve: true, bind: true, problem: undefined };
  return servedUnbound(
    'ReservedAddress',
    `is ${reason}: it is not bound, because this node could then no longer reach it; only traffic that passes this node is served`,
  );
};

const addressesOf = (service: Service, context: FrontendContext): readonly (readonly [Kind, IpAddress])[] => [
  ...families.flatMap((family) => {
    const address = service.clusterIps[family];
    return address === undefined ? [] : [['cluster-ip', address] as const];
  }),
  ...(context.externalIpsAllowed ? service.externalIps : []).map(
    (address) => ['external-ip', address] as const,
  ),
  ...service.loadBalancerIps.map((address) => ['load-balancer-ip', address] as const),
];

/**
 * The frontends of a Service except its node ports. Like kube-proxy, serves no family without a ClusterIP.
 */
export const frontendsOf = (service: Service, context: FrontendContext): Frontends => {
  const byFamily: Record<Family, Frontend[]> = { IPv4: [], IPv6: [] };
  const problems: Problem[] = [];
  const report = (kind: Kind, address: IpAddress, [reason, message]: readonly [string, string]): void => {
    problems.push({
      service: service.key,
      reason,
      message: `${service.key}: ${frontendFields[kind]}: ${address} ${message}`,
    });
  };
  for (const [kind, address] of addressesOf(service, context)) {
    const family = familyOf(address);
    if (service.clusterIps[family] === undefined) {
      report(kind, address, ['WrongFamily', `is not served: the Service has no ${family} ClusterIP`]);
      continue;
    }
    const { serve, bind, problem } = decideFrontend(kind, address, context);
    if (problem !== undefined) report(kind, address, problem);
    if (serve) byFamily[family].push({ kind, address, bind });
  }
  return { byFamily, problems };
};

/**
 * The node-port frontends of a family, which all Services share. Node addresses are never bound to
 * kube-ipvs0.
 */
export const nodePortFrontends = (family: Family, context: FrontendContext): readonly Frontend[] =>
  context.nodePortAddresses[family].map((address) => ({ kind: 'node-port', address, bind: false }));
