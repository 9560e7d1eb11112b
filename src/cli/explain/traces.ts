import { familyOf, parseCidr, type Cidr, type Family } from '../../base/ip.js';
import type { Protocol } from '../../model/service.js';
import type { ServedAnswer } from '../../plan/admin-answers.js';
import { parseAddress } from '../target.js';
import { askerOf, podTrafficOf, type From } from './asker.js';
import type { KernelLook, StoryFacts } from './facts.js';
import { isPodHere } from './find.js';
import { trace, type Destination, type Trace } from './trace.js';

/** So many virtual servers are traced. */
export const mostTraced = 8;

export const destinationOf = (key: string): Destination | undefined => {
  const [protocol = '', place = ''] = key.split(' ');
  const target = parseAddress(place);
  if (target?.port === undefined) return undefined;
  // Keys of virtual servers begin with nothing else.
  return { address: target.address, port: target.port, protocol: protocol as Protocol };
};

const rangesOf = (
  { service }: StoryFacts,
  served: ServedAnswer | undefined,
  to: Destination,
): readonly Cidr[] => {
  if (service === undefined || served === undefined || served.frontend === 'NodePort') return [];
  if (!service.service.loadBalancerIps.includes(to.address)) return [];
  return service.service.loadBalancerSourceRanges
    .flatMap((text) => parseCidr(text) ?? [])
    .filter(({ address }) => familyOf(address) === familyOf(to.address));
};

const obstaclesOf = ({ node }: StoryFacts, family: Family): readonly string[] => {
  const ids = [family === 'IPv4' ? 'ipv4-forwarding' : 'ipv6-forwarding', 'vs-conntrack', 'forward-policy'];
  return node.filter(({ id, result }) => result === 'fail' && ids.includes(id)).map(({ seen }) => seen);
};

const placeText = (names: ServedAnswer['realServers'][string] | undefined): string =>
  [names?.pod?.split('/')[1], names?.node === undefined ? undefined : `on ${names.node}`]
    .filter((part) => part !== undefined)
    .join(' ');

const traceTo = (
  to: Destination,
  key: string,
  from: From,
  facts: StoryFacts,
  look: KernelLook,
): Trace | undefined => {
  const family = familyOf(to.address);
  const rules = look.rules[family];
  const { service } = facts;
  const served = facts.served.find((one) => one.key === key);
  const ranges = rangesOf(facts, served, to);
  const isLocal = (address: typeof to.address): boolean => look.addresses.has(address);
  const asker = askerOf(from, {
    family,
    podTraffic: rules && podTrafficOf(rules.table),
    isLocal,
    isPodHere: (address) => service && isPodHere(service, address),
    ranges,
  });
  if (asker === undefined) return undefined;
  return trace({
    to,
    from: asker,
    rules,
    isLocal,
    isVip: (address) => look.dummyAddresses.has(address),
    table: look.tables.get(key),
    nameOf: ({ key: real }) => placeText(served?.realServers[real]),
    isHere: ({ key: real }) => {
      const node = served?.realServers[real]?.node;
      return node === undefined ? undefined : node === service?.node.name;
    },
    obstacles: obstaclesOf(facts, family),
  });
};

/** The path of a packet to each virtual server that is meant; to the target itself where there is none. */
export const tracesOf = (
  facts: StoryFacts,
  from: From,
  otherwise: Destination | undefined,
): readonly Trace[] => {
  if (!('value' in facts.kernel)) return [];
  const look = facts.kernel.value;
  const keys = facts.served.length > 0 ? facts.served.map(({ key }) => key) : [...look.tables.keys()];
  const traces = keys.flatMap((key) => {
    const to = destinationOf(key);
    return to === undefined ? [] : (traceTo(to, key, from, facts, look) ?? []);
  });
  if (keys.length > 0 || otherwise === undefined) return traces.slice(0, mostTraced);
  return [traceTo(otherwise, '', from, facts, look) ?? []].flat();
};
