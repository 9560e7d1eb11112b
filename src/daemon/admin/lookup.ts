import { Turns } from '../../base/async.js';
import { parseIp } from '../../base/ip.js';
import { protocols, type Service, type ServiceKey } from '../../model/service.js';
import { realServerKey, virtualServerKey, type VirtualServerKey } from '../../model/virtual-server.js';
import type { Match } from '../../plan/admin-answers.js';
import type { Desired } from '../../plan/desired.js';
import type { ClusterStore } from '../../watch/cluster-store.js';
import type { Names } from './names.js';

export interface LookupParts {
  readonly store: Pick<ClusterStore, 'service' | 'serviceKeys' | 'slicesOf'>;
  readonly desired: Desired;
  readonly names: Names;
}

const mostMatches = 1_000;

/** How long a search may hold up everything else. */
const longestTurnMilliseconds = 2;

/** What somebody may search by. */
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

/** The virtual servers at an address and port, without looking through all. */
function* atSocket({ address, port }: Query, { names }: LookupParts): Iterable<Match> {
  if (address === undefined || port === undefined) return;
  for (const protocol of protocols) {
    const key: VirtualServerKey = virtualServerKey({ by: 'address', protocol, address, port });
    const { service, frontend, lingering } = names.entryOf(key)?.own ?? {};
    if (service !== undefined)
      yield { service, because: `${lingering === undefined ? frontend : 'lingering'} ${key}` };
  }
}

const addressKind = (service: Service, address: string): string | undefined => {
  if (Object.values<string>(service.clusterIps).includes(address)) return 'ClusterIP';
  if (service.externalIps.some((one) => one === address)) return 'ExternalIP';
  return service.loadBalancerIps.some((one) => one === address) ? 'LoadBalancer' : undefined;
};

/** By what of its own a Service is found. */
const becauseOfService = (service: Service, { text, address, port }: Query): string | undefined => {
  if (service.key === text || service.name === text) return `Service ${service.key}`;
  if (address !== undefined && port === undefined) {
    const kind = addressKind(service, address);
    return kind && `${kind} ${address}`;
  }
  if (address === undefined && port !== undefined && service.ports.some(({ nodePort }) => nodePort === port))
    return `node port ${port}`;
  return undefined;
};

/** By which of its endpoints a Service is found. */
const becauseOfEndpoint = (
  key: ServiceKey,
  { text, address, port }: Query,
  { store }: LookupParts,
): string | undefined => {
  const [namespace] = key.split('/', 1);
  for (const { endpoints, ports } of store.slicesOf(key))
    for (const endpoint of endpoints) {
      const { pod } = endpoint;
      if (pod !== undefined && (pod === text || `${namespace}/${pod}` === text))
        return `pod ${namespace}/${pod}`;
      if (endpoint.address !== address) continue;
      if (port === undefined) return `endpoint ${address}`;
      if (ports.some((one) => one.port === port)) return `endpoint ${realServerKey(address, port)}`;
    }
  return undefined;
};

/** Services by name, VIP, VIP:port, node port, or address or name of a pod; a search by anything but VIP:port looks through all. */
export const lookUp = async (text: string, parts: LookupParts): Promise<readonly Match[]> => {
  const query = parseQuery(text);
  const matches = [...atSocket(query, parts)];
  if (matches.length > 0) return matches;
  const turns = new Turns(longestTurnMilliseconds);
  const keys = [...parts.store.serviceKeys()];
  for (const key of keys) {
    await turns.turn();
    const service = parts.store.service(key);
    if (service === undefined) continue;
    const because = becauseOfService(service, query) ?? becauseOfEndpoint(key, query, parts);
    if (because !== undefined) matches.push({ service: key, because });
    if (matches.length === mostMatches) break;
  }
  return matches;
};
