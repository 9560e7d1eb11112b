import type { IpAddress } from '../../base/ip.js';
import { count } from '../../base/text.js';
import type { LinkAddress } from '../../kernel/rtnetlink/convert.js';
import { dummyInterfaceName } from '../../model/node.js';
import { checksOf } from '../check.js';
import type { Facts, NetworkFacts } from '../facts.js';
import { fail, judge, pass, some, valueOf, warn, type Finding } from '../finding.js';

const onDummy = ({ addresses }: NetworkFacts): readonly LinkAddress[] =>
  addresses.filter(({ interfaceName }) => interfaceName === dummyInterfaceName);

const elsewhere = ({ addresses }: NetworkFacts): readonly LinkAddress[] =>
  addresses.filter(({ interfaceName }) => interfaceName !== dummyInterfaceName);

const remove = (addresses: readonly string[]): string =>
  addresses
    .slice(0, 3)
    .map((address) => `ip address del ${address} dev ${dummyInterfaceName}`)
    .join('; ');

const dummyInterface = ({ network: look }: Facts): Finding =>
  judge(look, (network) => {
    const link = network.links.find(({ name }) => name === dummyInterfaceName);
    if (link === undefined)
      return warn(`there is no interface ${dummyInterfaceName}`, 'start kube-ipvs, which makes it');
    if (link.kind !== 'dummy')
      return fail(
        `${dummyInterfaceName} is a ${link.kind ?? 'device of hardware'}, not a dummy`,
        `ip link del ${dummyInterfaceName}, then restart kube-ipvs`,
      );
    return pass(`${dummyInterfaceName} has ${count(onDummy(network).length, 'address')}`);
  });

/** Addresses that must stay other machines', with what they are. */
const reserved = (facts: Facts, { gateways }: NetworkFacts): ReadonlyMap<IpAddress, string> => {
  const server = facts.apiServerAddress;
  const isOurs = server === undefined || clusterIps(facts).has(server);
  return new Map([
    ...gateways.map((address) => [address, 'a gateway of this node'] as const),
    ...(isOurs ? [] : [[server, 'where this node reaches the API server'] as const]),
  ]);
};

/** The ClusterIP of the API server is ours to serve. */
const clusterIps = ({ services }: Facts): ReadonlySet<IpAddress> =>
  new Set((valueOf(services) ?? []).flatMap((service) => Object.values(service.clusterIps)));

const clashes = (facts: Facts): Finding =>
  judge(facts.network, (network) => {
    const taken = reserved(facts, network);
    const bound = onDummy(network).filter(({ address }) => taken.has(address));
    if (bound.length > 0)
      return fail(
        `on ${dummyInterfaceName}: ${some(bound.map(({ address }) => `${address}, ${taken.get(address) ?? ''}`))}`,
        `${remove(bound.map(({ address, prefixLength }) => `${address}/${prefixLength}`))}; take it out of spec.externalIPs or status.loadBalancer of the Service`,
      );
    const wrong = (valueOf(facts.services) ?? []).flatMap(({ key, externalIps, loadBalancerIps }) =>
      [...externalIps, ...loadBalancerIps]
        .filter((address) => taken.has(address))
        .map((address) => `Service ${key} wants ${address}, ${taken.get(address) ?? ''}`),
    );
    return wrong.length > 0
      ? fail(
          some(wrong),
          'take the address out of spec.externalIPs of that Service; kube-ipvs does not bind it',
        )
      : pass('no VIP is a gateway or the API server');
  });

const twice = (facts: Facts): Finding =>
  judge(facts.network, (network) => {
    const vips = new Set([...onDummy(network).map(({ address }) => address), ...clusterIps(facts)]);
    const double = elsewhere(network).filter(({ address }) => vips.has(address));
    return double.length === 0
      ? pass('no VIP is on another interface')
      : warn(
          some(double.map(({ address, interfaceName }) => `${address} is on ${interfaceName} too`)),
          double
            .slice(0, 3)
            .map(
              ({ address, prefixLength, interfaceName }) =>
                `ip address del ${address}/${prefixLength} dev ${interfaceName}`,
            )
            .join('; '),
        );
  });

const unwanted = (facts: Facts): Finding =>
  judge(facts.network, (network) =>
    judge(facts.virtualServers, (servers) => {
      const served = new Set(
        servers.flatMap(({ identity }) => (identity.by === 'address' ? [identity.address] : [])),
      );
      const named = clusterIps(facts);
      const idle = onDummy(network)
        .filter(({ address }) => !served.has(address) && !named.has(address))
        .map(({ address, prefixLength }) => `${address}/${prefixLength}`);
      return idle.length === 0
        ? pass('every address of kube-ipvs0 has a virtual server')
        : warn(`no virtual server stands on ${some(idle)}`, remove(idle));
    }),
  );

/** The address that NodeLocal DNSCache has by default. */
const localDns = '169.254.20.10';

const nodeLocalDns = ({ network: look, programs }: Facts): Finding =>
  judge(look, (network) => {
    const runs = (valueOf(programs) ?? []).some(({ name }) => name === 'node-cache');
    const link = network.links.find(({ name }) => name === 'nodelocaldns');
    if (!runs && link === undefined) return pass('there is no NodeLocal DNSCache here');
    const bound = new Set(onDummy(network).map(({ address }) => address));
    const own = elsewhere(network).filter(({ interfaceName }) => interfaceName === 'nodelocaldns');
    const shared = own.filter(
      ({ address }) => bound.has(address) || (address !== localDns && !address.startsWith('169.254.')),
    );
    return shared.length === 0
      ? pass(
          `NodeLocal DNSCache serves ${own.length === 0 ? 'no address yet' : some(own.map(({ address }) => address))}`,
        )
      : fail(
          `NodeLocal DNSCache and IPVS both have ${some(shared.map(({ address }) => address))}`,
          `give node-cache -localip ${localDns} alone, and the kubelet clusterDNS: [${localDns}]`,
        );
  });

export const addressChecks = checksOf('addresses', [
  {
    id: 'dummy-interface',
    title: 'the interface kube-ipvs0',
    why: 'It holds the addresses of Services, so that the kernel delivers packets for them to IPVS.',
    look: dummyInterface,
  },
  {
    id: 'vip-clash',
    title: 'VIPs that are gateways or the API server',
    why: 'A node that takes such an address for its own is cut off.',
    look: clashes,
  },
  {
    id: 'vip-elsewhere',
    title: 'VIPs on other interfaces',
    why: 'An address that two programs manage is taken away by one of them, and the Service with it.',
    look: twice,
  },
  {
    id: 'unwanted-addresses',
    title: 'addresses on kube-ipvs0 that nobody needs',
    why: 'The node takes packets for them as its own, and the real owner cannot be reached from here.',
    look: unwanted,
  },
  {
    id: 'node-local-dns',
    title: 'NodeLocal DNSCache beside IPVS',
    why: 'It cannot listen at the address of the DNS Service, which IPVS has.',
    look: nodeLocalDns,
  },
]);
