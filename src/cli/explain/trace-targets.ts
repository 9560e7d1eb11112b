import { familyOf, parseCidr, type Cidr, type Family } from '../../base/ip.js';
import type { Protocol } from '../../base/protocol.js';
import type { ServedVirtualServerResponse } from '../../admin-api/responses.js';
import { parseAddressTarget } from '../target/target.js';
import { packetSourceFor, podTrafficFromRules, type SourceOption } from './packet-source.js';
import type { KernelFacts, ReportFacts } from './facts.js';
import { isPodLocal } from './find-services.js';
import { tracePacket, type Destination, type Trace } from './trace-packet.js';

/** So many virtual servers are traced. */
export const maximumTraces = 8;

export const destinationOf = (key: string): Destination | undefined => {
  const [protocol = '', place = ''] = key.split(' ');
  const target = parseAddressTarget(place);
  if (target?.port === undefined) return undefined;
  // Keys of virtual servers begin with nothing else.
  return { address: target.address, port: target.port, protocol: protocol as Protocol };
};

const rangesOf = (
  { service }: ReportFacts,
  served: ServedVirtualServerResponse | undefined,
  to: Destination,
): readonly Cidr[] => {
  if (service === undefined || served === undefined || served.frontend === 'NodePort') return [];
  if (!service.service.loadBalancerIps.includes(to.address)) return [];
  return service.service.loadBalancerSourceRanges
    .flatMap((text) => parseCidr(text) ?? [])
    .filter(({ address }) => familyOf(address) === familyOf(to.address));
};

const obstaclesOf = ({ node }: ReportFacts, family: Family): readonly string[] => {
  const ids = [family === 'IPv4' ? 'ipv4-forwarding' : 'ipv6-forwarding', 'vs-conntrack', 'forward-policy'];
  return node.filter(({ id, result }) => result === 'fail' && ids.includes(id)).map(({ seen }) => seen);
};

const locationText = (names: ServedVirtualServerResponse['realServers'][string] | undefined): string =>
  [names?.pod?.split('/')[1], names?.node === undefined ? undefined : `on ${names.node}`]
    .filter((part) => part !== undefined)
    .join(' ');

const traceTo = (
  to: Destination,
  key: string,
  from: SourceOption,
  facts: ReportFacts,
  kernel: KernelFacts,
): Trace | undefined => {
  const family = familyOf(to.address);
  const rules = kernel.rules[family];
  const { service } = facts;
  const served = facts.served.find((one) => one.key === key);
  const ranges = rangesOf(facts, served, to);
  const isLocal = (address: typeof to.address): boolean => kernel.addresses.has(address);
  const source = packetSourceFor(from, {
    family,
    podTraffic: rules && podTrafficFromRules(rules.table),
    isLocal,
    isPodLocal: (address) => service && isPodLocal(service, address),
    ranges,
  });
  if (source === undefined) return undefined;
  return tracePacket({
    to,
    from: source,
    rules,
    isLocal,
    isVip: (address) => kernel.dummyAddresses.has(address),
    virtualServer: kernel.virtualServers.get(key),
    nameOf: ({ key: real }) => locationText(served?.realServers[real]),
    isOnThisNode: ({ key: real }) => {
      const node = served?.realServers[real]?.node;
      return node === undefined ? undefined : node === service?.node.name;
    },
    obstacles: obstaclesOf(facts, family),
  });
};

/** The path of a packet to each virtual server that is meant; to the target itself where there is none. */
export const traceTargets = (
  facts: ReportFacts,
  from: SourceOption,
  otherwise: Destination | undefined,
): readonly Trace[] => {
  if (!('value' in facts.kernel)) return [];
  const kernel = facts.kernel.value;
  const keys =
    facts.served.length > 0 ? facts.served.map(({ key }) => key) : [...kernel.virtualServers.keys()];
  const traces = keys.flatMap((key) => {
    const to = destinationOf(key);
    return to === undefined ? [] : (traceTo(to, key, from, facts, kernel) ?? []);
  });
  if (keys.length > 0 || otherwise === undefined) return traces.slice(0, maximumTraces);
  return [traceTo(otherwise, '', from, facts, kernel) ?? []].flat();
};
