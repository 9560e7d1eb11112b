import { InputError } from '../../base/errors.js';
import { parseIp } from '../../base/ip.js';
import { nearest } from '../../config/nearest.js';
import type {
  LookupMatch,
  ServedVirtualServerResponse,
  ServiceReportResponse,
  VirtualServersResponse,
} from '../../admin-api/responses.js';
import type { AdminClient } from '../admin/admin-client.js';
import { parseAddressTarget, parseTarget, type AddressTarget, type NameTarget } from '../target/target.js';

/** What somebody wants explained. */
export type ExplainTarget =
  | { readonly by: 'address'; readonly target: AddressTarget; readonly protocol: string | undefined }
  | { readonly by: 'node-port'; readonly port: number; readonly protocol: string | undefined }
  | { readonly by: 'name'; readonly target: NameTarget }
  /** A name in whatever namespace, perhaps with a port. */
  | { readonly by: 'bare-name'; readonly name: string; readonly port: string | undefined };

/** `TCP 10.96.0.1:443` as we write it, `10.96.0.1:443/TCP` and `443/TCP` as kubectl does: the protocol, and what is left. */
const splitProtocol = (text: string): readonly [protocol: string | undefined, place: string] => {
  const [, before, behind = ''] = /^(tcp|udp|sctp)[ :/]\s*(.+)$/i.exec(text) ?? [];
  if (before !== undefined) return [before.toUpperCase(), behind];
  const [, place = text, after] = /^(.*\d)\/(tcp|udp|sctp)$/i.exec(text) ?? [];
  return [after?.toUpperCase(), place];
};

/** Reads `TCP 10.96.0.1:443`, `10.96.0.1:443/TCP`, `:30080`, `30080`, `web`, `web:http`, and all that `parseTarget` reads. InputError for anything else. */
export const parseExplainTarget = (text: string, namespace: string | undefined): ExplainTarget => {
  const [protocol, place] = splitProtocol(text.trim());
  const [, nodePort] = /^:?(\d+)$/.exec(place) ?? [];
  if (nodePort !== undefined) {
    if (Number(nodePort) > 65_535)
      throw new InputError(`"${place}" is no node port; ports are numbers up to 65535`);
    return { by: 'node-port', port: Number(nodePort), protocol };
  }
  const address = parseAddressTarget(place);
  if (address !== undefined) return { by: 'address', target: address, protocol };
  const [, name, port] = /^([a-z0-9][a-z0-9.-]*)(?::([a-z0-9-]+))?$/.exec(place) ?? [];
  if (name !== undefined && namespace === undefined) return { by: 'bare-name', name, port };
  const target = parseTarget(place, namespace);
  return target.by === 'address' ? { by: 'address', target, protocol } : { by: 'name', target };
};

/** A Service with the part of it that is meant. */
export interface FoundService {
  /** As `namespace/name`. */
  readonly service: string;
  readonly because: string;
  /** The pod that was asked for, as `namespace/name`, or its address. */
  readonly pod: string | undefined;
  readonly matches: (served: ServedVirtualServerResponse) => boolean;
}

const everything = (): boolean => true;

const queryOf = (wish: ExplainTarget): string => {
  switch (wish.by) {
    case 'address': {
      const { address, port } = wish.target;
      if (port === undefined) return address;
      return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    }
    case 'node-port':
      return String(wish.port);
    case 'bare-name':
      return wish.name;
    case 'name':
      return `${wish.target.namespace}/${wish.target.name}`;
  }
};

const hasPort = ({ port }: ServedVirtualServerResponse, wanted: string | undefined): boolean =>
  wanted === undefined || port?.name === wanted || String(port?.port) === wanted;

const keyOf = (wish: ExplainTarget): ((key: string) => boolean) => {
  if (wish.by !== 'address' && wish.by !== 'node-port') return everything;
  const protocol = wish.protocol === undefined ? '' : `${wish.protocol} `;
  if (wish.by === 'node-port') return (key) => key.startsWith(protocol) && key.endsWith(`:${wish.port}`);
  const { address, port } = wish.target;
  return (key) => {
    const target = parseAddressTarget(key.split(' ')[1] ?? '');
    return (
      key.startsWith(protocol) && target?.address === address && (port === undefined || target.port === port)
    );
  };
};

const isEndpoint = (because: string): boolean => /^(pod|endpoint) /.test(because);

const foundService = (wish: ExplainTarget, { service, because }: LookupMatch): FoundService => {
  const base = { service, because };
  if (isEndpoint(because)) {
    const of = because.replace(/^(pod|endpoint) /, '');
    return { ...base, pod: of, matches: everything };
  }
  if (wish.by === 'name')
    return { ...base, pod: undefined, matches: (served) => hasPort(served, wish.target.port) };
  if (wish.by === 'bare-name')
    return { ...base, pod: undefined, matches: (served) => hasPort(served, wish.port) };
  const isKey = keyOf(wish);
  return {
    ...base,
    pod: undefined,
    matches: ({ key, frontend }) => isKey(key) && (wish.by !== 'node-port' || frontend === 'NodePort'),
  };
};

const isOfKind = (wish: ExplainTarget, { because }: LookupMatch): boolean => {
  if (wish.by === 'name' && wish.target.by !== 'service-or-pod')
    return wish.target.by === 'pod' ? because.startsWith('pod ') : because.startsWith('Service ');
  return true;
};

/** What the daemon finds. What has a Service's and a pod's name means the Service. */
export const findServices = async (
  client: Pick<AdminClient, 'lookUp'>,
  wish: ExplainTarget,
): Promise<readonly FoundService[]> => {
  const { matches } = await client.lookUp(queryOf(wish));
  const fitting = matches.filter((match) => isOfKind(wish, match));
  const services = fitting.filter(({ because }) => !isEndpoint(because));
  const chosen = services.length > 0 ? services : fitting;
  const protocol = wish.by === 'address' || wish.by === 'node-port' ? wish.protocol : undefined;
  return chosen
    .filter(
      ({ because }) =>
        protocol === undefined || !/ (TCP|UDP|SCTP) /.test(because) || because.includes(` ${protocol} `),
    )
    .map((match) => foundService(wish, match));
};

/** The name that was probably meant. */
export const suggestName = (
  { virtualServers }: VirtualServersResponse,
  wish: ExplainTarget,
): string | undefined => {
  const all = Object.values(virtualServers);
  const services = new Set(all.flatMap(({ service }) => service ?? []));
  if (wish.by === 'bare-name') {
    const short = new Map([...services].map((service) => [service.split('/')[1] ?? '', service]));
    const meant = nearest(wish.name, short.keys());
    return meant === undefined ? undefined : short.get(meant);
  }
  if (wish.by !== 'name') return undefined;
  const pods = new Set(
    all.flatMap(({ realServers }) => Object.values(realServers).flatMap(({ pod }) => pod ?? [])),
  );
  return nearest(`${wish.target.namespace}/${wish.target.name}`, [...services, ...pods]);
};

/** The Services of that name that are gone, but of which something lingers. */
export const orphanedServices = (
  { virtualServers }: VirtualServersResponse,
  wish: ExplainTarget,
): readonly string[] => {
  const isMeant = (service: string): boolean =>
    (wish.by === 'name' &&
      wish.target.by !== 'pod' &&
      service === `${wish.target.namespace}/${wish.target.name}`) ||
    (wish.by === 'bare-name' && service.endsWith(`/${wish.name}`));
  const orphaned = Object.values(virtualServers).filter((names) => names.lingering !== undefined);
  return [...new Set(orphaned.flatMap(({ service }) => service ?? []))].filter(isMeant);
};

/** Whether the kernel's virtual server is meant; only addresses and ports can say so without names. */
export const keyMatcherFor = (wish: ExplainTarget): ((key: string) => boolean) =>
  wish.by === 'address' || wish.by === 'node-port' ? keyOf(wish) : () => false;

export const isNumericTarget = (wish: ExplainTarget): boolean =>
  wish.by === 'address' || wish.by === 'node-port';

/** The node that a pod of this address is on, as far as the Service tells. */
export const isPodLocal = (
  { endpoints, node }: ServiceReportResponse,
  address: string,
): boolean | undefined => {
  const found = endpoints.find(
    ({ realServer }) => parseAddressTarget(realServer)?.address === parseIp(address),
  );
  return found && found.node === node.name;
};
