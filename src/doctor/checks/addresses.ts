import type { IpAddress } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import type { LinkAddress } from '../../kernel/rtnetlink/convert.js';
import { dummyInterfaceName } from '../../model/node.js';
import { checksInGroup } from '../check.js';
import type { Facts, NetworkFacts } from '../facts.js';
import { fail, checkFact, pass, abbreviatedList, valueOf, warn, type CheckResult } from '../check-result.js';

const onDummy = ({ addresses }: NetworkFacts): readonly LinkAddress[] =>
  addresses.filter(({ interfaceName }) => interfaceName === dummyInterfaceName);

const onOtherInterfaces = ({ addresses }: NetworkFacts): readonly LinkAddress[] =>
  addresses.filter(({ interfaceName }) => interfaceName !== dummyInterfaceName);

const removeCommands = (addresses: readonly string[]): string =>
  addresses
    .slice(0, 3)
    .map((address) => `ip address del ${address} dev ${dummyInterfaceName}`)
    .join('; ');

const dummyInterface = ({ network: fact }: Facts): CheckResult =>
  checkFact(fact, (network) => {
    const link = network.links.find(({ name }) => name === dummyInterfaceName);
    if (link === undefined)
      return warn(`there is no interface ${dummyInterfaceName}`, 'start kube-ipvs, which makes it');
    if (link.kind !== 'dummy')
      return fail(
        `${dummyInterfaceName} is a ${link.kind ?? 'device of hardware'}, not a dummy`,
        `ip link del ${dummyInterfaceName}, then restart kube-ipvs`,
      );
    return pass(`${dummyInterfaceName} has ${formatCount(onDummy(network).length, 'address')}`);
  });

/** Addresses that must stay other machines', with what they are. */
const reservedAddresses = (facts: Facts, { gateways }: NetworkFacts): ReadonlyMap<IpAddress, string> => {
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

const reservedVips = (facts: Facts): CheckResult =>
  checkFact(facts.network, (network) => {
    const taken = reservedAddresses(facts, network);
    const bound = onDummy(network).filter(({ address }) => taken.has(address));
    if (bound.length > 0)
      return fail(
        `on ${dummyInterfaceName}: ${abbreviatedList(bound.map(({ address }) => `${address}, ${taken.get(address) ?? ''}`))}`,
        `${removeCommands(bound.map(({ address, prefixLength }) => `${address}/${prefixLength}`))}; take it out of spec.externalIPs or status.loadBalancer of the Service`,
      );
    const conflicts = (valueOf(facts.services) ?? []).flatMap(({ key, externalIps, loadBalancerIps }) =>
      [...externalIps, ...loadBalancerIps]
        .filter((address) => taken.has(address))
        .map((address) => `Service ${key} wants ${address}, ${taken.get(address) ?? ''}`),
    );
    return conflicts.length > 0
      ? fail(
          abbreviatedList(conflicts),
          'take the address out of spec.externalIPs of that Service; kube-ipvs does not bind it',
        )
      : pass('no VIP is a gateway or the API server');
  });

const duplicateVips = (facts: Facts): CheckResult =>
  checkFact(facts.network, (network) => {
    const vips = new Set([...onDummy(network).map(({ address }) => address), ...clusterIps(facts)]);
    const duplicates = onOtherInterfaces(network).filter(({ address }) => vips.has(address));
    return duplicates.length === 0
      ? pass('no VIP is on another interface')
      : warn(
          abbreviatedList(
            duplicates.map(({ address, interfaceName }) => `${address} is on ${interfaceName} too`),
          ),
          duplicates
            .slice(0, 3)
            .map(
              ({ address, prefixLength, interfaceName }) =>
                `ip address del ${address}/${prefixLength} dev ${interfaceName}`,
            )
            .join('; '),
        );
  });

const unusedAddresses = (facts: Facts): CheckResult =>
  checkFact(facts.network, (network) =>
    checkFact(facts.virtualServers, (servers) => {
      const served = new Set(
        servers.flatMap(({ identity }) => (identity.by === 'address' ? [identity.address] : [])),
      );
      const named = clusterIps(facts);
      const unused = onDummy(network)
        .filter(({ address }) => !served.has(address) && !named.has(address))
        .map(({ address, prefixLength }) => `${address}/${prefixLength}`);
      return unused.length === 0
        ? pass('every address of kube-ipvs0 has a virtual server')
        : warn(`no virtual server stands on ${abbreviatedList(unused)}`, removeCommands(unused));
    }),
  );

/** The address that NodeLocal DNSCache has by default. */
const nodeLocalDnsAddress = '169.254.20.10';

const nodeLocalDns = ({ network: fact, programs }: Facts): CheckResult =>
  checkFact(fact, (network) => {
    const runs = (valueOf(programs) ?? []).some(({ name }) => name === 'node-cache');
    const link = network.links.find(({ name }) => name === 'nodelocaldns');
    if (!runs && link === undefined) return pass('there is no NodeLocal DNSCache here');
    const bound = new Set(onDummy(network).map(({ address }) => address));
    const own = onOtherInterfaces(network).filter(({ interfaceName }) => interfaceName === 'nodelocaldns');
    const shared = own.filter(
      ({ address }) =>
        bound.has(address) || (address !== nodeLocalDnsAddress && !address.startsWith('169.254.')),
    );
    return shared.length === 0
      ? pass(
          `NodeLocal DNSCache serves ${own.length === 0 ? 'no address yet' : abbreviatedList(own.map(({ address }) => address))}`,
        )
      : fail(
          `NodeLocal DNSCache and IPVS both have ${abbreviatedList(shared.map(({ address }) => address))}`,
          `give node-cache -localip ${nodeLocalDnsAddress} alone, and the kubelet clusterDNS: [${nodeLocalDnsAddress}]`,
        );
  });

export const addressChecks = checksInGroup('addresses', [
  {
    id: 'dummy-interface',
    title: 'the interface kube-ipvs0',
    why: 'It holds the addresses of Services, so that the kernel delivers packets for them to IPVS.',
    run: dummyInterface,
  },
  {
    id: 'vip-clash',
    title: 'VIPs that are gateways or the API server',
    why: 'A node that takes such an address for its own is cut off.',
    run: reservedVips,
  },
  {
    id: 'vip-elsewhere',
    title: 'VIPs on other interfaces',
    why: 'An address that two programs manage is taken away by one of them, and the Service with it.',
    run: duplicateVips,
  },
  {
    id: 'unwanted-addresses',
    title: 'addresses on kube-ipvs0 that nobody needs',
    why: 'The node takes packets for them as its own, and the real owner cannot be reached from here.',
    run: unusedAddresses,
  },
  {
    id: 'node-local-dns',
    title: 'NodeLocal DNSCache beside IPVS',
    why: 'It cannot listen at the address of the DNS Service, which IPVS has.',
    run: nodeLocalDns,
  },
]);
