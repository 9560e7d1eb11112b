import { Yielder } from '../../base/async.js';
import { parseIp } from '../../base/ip.js';
import { protocols } from '../../base/protocol.js';
import { type Service, type ServiceKey } from '../../model/service.js';
import { realServerKey, virtualServerKey, type VirtualServerKey } from '../../model/virtual-server.js';
import type { LookupMatch } from '../../admin-api/responses.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { ClusterStore } from '../../watch/store/cluster-store.js';
import type { VirtualServerDescriptions } from './virtual-server-descriptions.js';

export interface LookupParts {
  readonly store: Pick<ClusterStore, 'service' | 'serviceKeys' | 'slicesOf'>;
  readonly desired: DesiredState;
  readonly descriptions: VirtualServerDescriptions;
}

const maximumMatches = 1_000;

/** How long a search may block the event loop. */
const maximumBlockingMilliseconds = 2;

/** A search text and what it may mean. */
interface Query {
  readonly text: string;
  readonly address: ReturnType<typeof parseIp>;
  readonly port: number | undefined;
}

const parseQuery = (text: string): Query => {
  const bare = parseIp(text.replace(/^\[(.*)\]$/, '$1'));
  if (bare !== undefined) return { text, address: bare, port: undefined };
  const [, host = '', port = ''] = /^(.*?):?(\d{1,5})$/.exec(text) ?? [];
  const address = parseIp(host.replace(/^\[(.*)\]$/, '$1'));
  return {
    text,
    address,
    port: port === '' || (host !== '' && address === undefined) ? undefined : Number(port),
  };
};

/** The virtual servers at an address and port; needs no search. */
function* matchesAtAddressAndPort(
  { address, port }: Query,
  { descriptions, desired }: LookupParts,
): Iterable<LookupMatch> {
  if (address === undefined || port === undefined) return;
  for (const protocol of protocols) {
    const key: VirtualServerKey = virtualServerKey({ by: 'address', protocol, address, port });
    const marked = desired.markedServerOf(key);
    const entry = (marked && descriptions.entryOf(marked)) ?? descriptions.entryOf(key);
    const { service, frontend, lingering } = entry?.own ?? {};
    if (service !== undefined)
      yield {
        service,
        because: `${lingering === undefined ? frontend : 'lingering'} ${key}`,
        matched: 'virtual-server',
        protocol,
      };
  }
}

const addressKind = (service: Service, address: string): string | undefined => {
  if (Object.values<string>(service.clusterIps).includes(address)) return 'ClusterIP';
  if (service.externalIps.some((one) => one === address)) return 'ExternalIP';
  return service.loadBalancerIps.some((one) => one === address) ? 'LoadBalancer' : undefined;
};

type MatchReason = Omit<LookupMatch, 'service'>;

/** How the Service itself matches the query. */
const serviceMatchReason = (service: Service, { text, address, port }: Query): MatchReason | undefined => {
  if (service.key === text || service.name === text)
    return { because: `Service ${service.key}`, matched: 'service' };
  if (address !== undefined && port === undefined) {
    const kind = addressKind(service, address);
    return kind === undefined ? undefined : { because: `${kind} ${address}`, matched: 'address' };
  }
  if (address === undefined && port !== undefined && service.ports.some(({ nodePort }) => nodePort === port))
    return { because: `node port ${port}`, matched: 'node-port' };
  return undefined;
};

const endpointReason = (matched: 'endpoint' | 'pod', endpoint: string): MatchReason => ({
  because: `${matched} ${endpoint}`,
  matched,
  endpoint,
});

/** By which of its endpoints a Service is found. */
const endpointMatchReason = (
  key: ServiceKey,
  { text, address, port }: Query,
  { store }: LookupParts,
): MatchReason | undefined => {
  const [namespace] = key.split('/', 1);
  for (const { endpoints, ports } of store.slicesOf(key))
    for (const endpoint of endpoints) {
      const { pod } = endpoint;
      if (pod !== undefined && (pod === text || `${namespace}/${pod}` === text))
        return endpointReason('pod', `${namespace}/${pod}`);
      if (endpoint.address !== address) continue;
      if (port === undefined) return endpointReason('endpoint', address);
      if (ports.some((one) => one.port === port))
        return endpointReason('endpoint', realServerKey(address, port));
    }
  return undefined;
};

/**
 * Finds Services by name, VIP, VIP:port, node port, or the address or name of a pod. Only a search by VIP:port does not
 * visit every Service.
 */
export const lookUp = async (text: string, parts: LookupParts): Promise<readonly LookupMatch[]> => {
  const query = parseQuery(text);
  const matches = [...matchesAtAddressAndPort(query, parts)];
  if (matches.length > 0) return matches;
  const yielder = new Yielder(maximumBlockingMilliseconds);
  const keys = [...parts.store.serviceKeys()];
  for (const key of keys) {
    await yielder.yieldIfDue();
    const service = parts.store.service(key);
    if (service === undefined) continue;
    const reason = serviceMatchReason(service, query) ?? endpointMatchReason(key, query, parts);
    if (reason !== undefined) matches.push({ service: key, ...reason });
    if (matches.length === maximumMatches) break;
  }
  return matches;
};
