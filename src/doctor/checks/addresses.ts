import { addressOfServer } from '../../model/virtual-server.js';
import type { IpAddress } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import type { LinkAddress } from '../../kernel/rtnetlink/convert.js';
import { isServiceProxyInterface } from '../../model/instance-names.js';
import { checksInGroup } from '../check.js';
import type { Facts, NetworkFacts } from '../facts.js';
import { fail, checkFact, pass, abbreviatedList, valueOf, warn, type CheckResult } from '../check-result.js';
import { advise } from '../remedy.js';
import { addressRemovals, boundVips, routeRemovals, vipRemovals, type BoundVip } from '../vips.js';

const onOtherInterfaces = ({ addresses }: NetworkFacts): readonly LinkAddress[] =>
  addresses.filter(({ interfaceName }) => !isServiceProxyInterface(interfaceName));

const dummyInterface = ({ network: fact }: Facts): CheckResult =>
  checkFact(fact, (network) => {
    const { dummyInterface: name } = network;
    const link = network.links.find((each) => each.name === name);
    if (link === undefined)
      return warn(`the interface ${name} does not exist`, advise('Start kube-ipvs, which creates it.'));
    if (link.kind !== 'dummy')
      return fail(
        `${name} is a ${link.kind ?? 'hardware device'}, not a dummy device`,
        advise('Delete it, then restart kube-ipvs.', `ip link del ${name}`),
      );
    const addresses = boundVips(network).filter(({ binding }) => binding === 'address');
    return pass(`${name} has ${formatCount(addresses.length, 'address')}`);
  });

/** From here on, adding an address takes the kernel noticeably longer than adding a route (docs/benchmarks.md). */
const manyAddresses = 5_000;

const vipBinding = ({ network: fact }: Facts): CheckResult =>
  checkFact(fact, (network) => {
    const { vipRoutes, dummyInterface: name } = network;
    const addresses = boundVips(network).length - vipRoutes.length;
    if (addresses < manyAddresses)
      return pass(
        `${formatCount(addresses, 'VIP')} on ${name}, ${formatCount(vipRoutes.length, 'local route')}`,
      );
    return warn(
      `${formatCount(addresses, 'VIP')} on ${name}: to add one, the kernel walks through all of them`,
      advise('Set vips.binding: route in the KubeIpvsConfiguration.'),
    );
  });

/** `kube-ipvs0 has 192.0.2.1`. */
const whereText = ({ address, binding, dummyInterface: name }: BoundVip): string =>
  binding === 'address' ? `${name} has ${address}` : `the table local has a route to ${address}`;

/** Addresses of other machines, with what each is. */
const reservedAddresses = (facts: Facts, { gateways }: NetworkFacts): ReadonlyMap<IpAddress, string> => {
  const server = facts.apiServerAddress;
  const isOurs = server === undefined || clusterIps(facts).has(server);
  return new Map([
    ...gateways.map((address) => [address, 'a gateway of this node'] as const),
    ...(isOurs ? [] : [[server, 'the address of the API server'] as const]),
  ]);
};

/** The ClusterIP of the API server is ours to serve. */
const clusterIps = ({ services }: Facts): ReadonlySet<IpAddress> =>
  new Set((valueOf(services) ?? []).flatMap((service) => Object.values(service.clusterIps)));

const reservedVips = (facts: Facts): CheckResult =>
  checkFact(facts.network, (network) => {
    const taken = reservedAddresses(facts, network);
    const bound = boundVips(network).filter(({ address }) => taken.has(address));
    if (bound.length > 0)
      return fail(
        abbreviatedList(bound.map((vip) => `${whereText(vip)}, ${taken.get(vip.address) ?? ''}`)),
        ...vipRemovals(bound),
        advise('Remove the address from spec.externalIPs or status.loadBalancer of the Service.'),
      );
    const conflicts = (valueOf(facts.services) ?? []).flatMap(({ key, externalIps, loadBalancerIps }) =>
      [...externalIps, ...loadBalancerIps]
        .filter((address) => taken.has(address))
        .map((address) => `Service ${key} requests ${address}, ${taken.get(address) ?? ''}`),
    );
    return conflicts.length > 0
      ? fail(
          abbreviatedList(conflicts),
          advise('Remove the address from spec.externalIPs of the Service. kube-ipvs does not bind it.'),
        )
      : pass('no VIP is the address of a gateway or of the API server');
  });

const duplicateVips = (facts: Facts): CheckResult =>
  checkFact(facts.network, (network) => {
    const vips = new Set([...boundVips(network).map(({ address }) => address), ...clusterIps(facts)]);
    const duplicates = onOtherInterfaces(network).filter(({ address }) => vips.has(address));
    const routes = network.foreignLocalRoutes.filter(({ address }) => vips.has(address));
    const found = [
      ...duplicates.map(({ address, interfaceName }) => `${address} is also on ${interfaceName}`),
      ...routes.map(
        ({ address, type, protocol }) =>
          `the table local has a route of another program to ${address} (${type}, proto ${protocol})`,
      ),
    ];
    return found.length === 0
      ? pass('no VIP is on another interface')
      : warn(abbreviatedList(found), ...addressRemovals(duplicates), ...routeRemovals(routes));
  });

const unusedText = ({ address, binding, dummyInterface: name }: BoundVip): string =>
  binding === 'address' ? `${address} on ${name}` : `the local route to ${address}`;

const unusedAddresses = (facts: Facts): CheckResult =>
  checkFact(facts.network, (network) =>
    checkFact(facts.virtualServers, (servers) => {
      const served = new Set(servers.flatMap(({ identity }) => addressOfServer(identity) ?? []));
      const named = clusterIps(facts);
      const unused = boundVips(network).filter(({ address }) => !served.has(address) && !named.has(address));
      return unused.length === 0
        ? pass('every VIP that is bound has a virtual server')
        : warn(`no virtual server uses ${abbreviatedList(unused.map(unusedText))}`, ...vipRemovals(unused));
    }),
  );

/** The address that NodeLocal DNSCache has by default. */
const nodeLocalDnsAddress = '169.254.20.10';

const nodeLocalDns = ({ network: fact, programs }: Facts): CheckResult =>
  checkFact(fact, (network) => {
    const runs = (valueOf(programs) ?? []).some(({ name }) => name === 'node-cache');
    const link = network.links.find(({ name }) => name === 'nodelocaldns');
    if (!runs && link === undefined) return pass('NodeLocal DNSCache does not run on this node');
    const bound = new Set(boundVips(network).map(({ address }) => address));
    const own = onOtherInterfaces(network).filter(({ interfaceName }) => interfaceName === 'nodelocaldns');
    const shared = own.filter(
      ({ address }) =>
        bound.has(address) || (address !== nodeLocalDnsAddress && !address.startsWith('169.254.')),
    );
    return shared.length === 0
      ? pass(
          own.length === 0
            ? 'NodeLocal DNSCache has no address yet'
            : `NodeLocal DNSCache serves ${abbreviatedList(own.map(({ address }) => address))}`,
        )
      : fail(
          `NodeLocal DNSCache and IPVS both use ${abbreviatedList(shared.map(({ address }) => address))}`,
          advise(`Start node-cache with -localip ${nodeLocalDnsAddress} only.`),
          advise(`Set clusterDNS: [${nodeLocalDnsAddress}] in the configuration of the kubelet.`),
        );
  });

export const addressChecks = checksInGroup('addresses', [
  {
    id: 'dummy-interface',
    title: 'the interface kube-ipvs0',
    why: 'It holds the VIPs that are addresses: the kernel delivers packets for them to IPVS.',
    run: dummyInterface,
  },
  {
    id: 'vip-binding',
    title: 'how VIPs are bound',
    why: 'With many addresses on one interface, the kernel takes ever longer to add one. A local route takes the same time at any number.',
    run: vipBinding,
  },
  {
    id: 'vip-clash',
    title: 'VIPs that are the address of a gateway or of the API server',
    why: 'A node that takes such an address as its own loses its connection to that machine.',
    run: reservedVips,
  },
  {
    id: 'vip-elsewhere',
    title: 'VIPs on other interfaces, and routes of other programs to them',
    why: 'If two programs manage an address, one of them may remove it, and the Service with it.',
    run: duplicateVips,
  },
  {
    id: 'unwanted-addresses',
    title: 'VIPs that are bound and not used',
    why: 'The node takes packets for them as its own and cannot reach the machine that owns the address.',
    run: unusedAddresses,
  },
  {
    id: 'node-local-dns',
    title: 'NodeLocal DNSCache beside IPVS',
    why: 'It cannot listen on the address of the DNS Service, which IPVS serves.',
    run: nodeLocalDns,
  },
]);
