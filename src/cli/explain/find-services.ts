import { InputError } from '../../base/errors.js';
import { familyOf, formatSocketAddress, type Family } from '../../base/ip.js';
import { nearest } from '../../config/nearest.js';
import type { LookupMatch, VirtualServersResponse } from '../../admin-api/responses.js';
import { nodePortOfMark, type NodePort } from '../../model/firewall-mark.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import type { AdminClient } from '../admin/admin-client.js';
import { parseAddressTarget, parseTarget, type AddressTarget, type NameTarget } from '../target/target.js';
import type { ServedVirtualServer } from './facts.js';

/** The target of `explain`. */
export type ExplainTarget =
  | { readonly by: 'address'; readonly target: AddressTarget; readonly protocol: string | undefined }
  | { readonly by: 'node-port'; readonly port: number; readonly protocol: string | undefined }
  | { readonly by: 'name'; readonly target: NameTarget }
  /** A name in any namespace. */
  | { readonly by: 'bare-name'; readonly name: string; readonly port: string | undefined };

/** Splits `TCP 10.96.0.1:443`, and `10.96.0.1:443/TCP` and `443/TCP` as kubectl prints them. */
const splitProtocol = (text: string): readonly [protocol: string | undefined, rest: string] => {
  const [, before, behind = ''] = /^(tcp|udp|sctp)[ :/]\s*(.+)$/i.exec(text) ?? [];
  if (before !== undefined) return [before.toUpperCase(), behind];
  const [, rest = text, after] = /^(.*\d)\/(tcp|udp|sctp)$/i.exec(text) ?? [];
  return [after?.toUpperCase(), rest];
};

/** Reads `TCP 10.96.0.1:443`, `10.96.0.1:443/TCP`, `:30080`, `30080`, `web`, `web:http`, and every form of `parseTarget`. InputError for anything else. */
export const parseExplainTarget = (text: string, namespace: string | undefined): ExplainTarget => {
  const [protocol, rest] = splitProtocol(text.trim());
  const [, nodePort] = /^:?(\d+)$/.exec(rest) ?? [];
  if (nodePort !== undefined) {
    if (Number(nodePort) > 65_535)
      throw new InputError(`"${rest}" is not a valid node port: a port is a number up to 65535`);
    return { by: 'node-port', port: Number(nodePort), protocol };
  }
  const address = parseAddressTarget(rest);
  if (address !== undefined) return { by: 'address', target: address, protocol };
  const [, name, port] = /^([a-z0-9][a-z0-9.-]*)(?::([a-z0-9-]+))?$/.exec(rest) ?? [];
  if (name !== undefined && namespace === undefined) return { by: 'bare-name', name, port };
  const target = parseTarget(rest, namespace);
  return target.by === 'address' ? { by: 'address', target, protocol } : { by: 'name', target };
};

/** A Service, and which part of it the target selects. */
export interface FoundService {
  /** `namespace/name`. */
  readonly service: string;
  /** Why the daemon found it, for people. */
  readonly because: string;
  /** The pod that is the target: `namespace/name`, its address, or its address and port. */
  readonly pod: string | undefined;
  readonly matches: (served: ServedVirtualServer) => boolean;
}

const everything = (): boolean => true;

const queryOf = (target: ExplainTarget): string => {
  switch (target.by) {
    case 'address': {
      const { address, port } = target.target;
      return port === undefined ? address : formatSocketAddress(address, port);
    }
    case 'node-port':
      return String(target.port);
    case 'bare-name':
      return target.name;
    case 'name':
      return `${target.target.namespace}/${target.target.name}`;
  }
};

const hasPort = ({ port }: ServedVirtualServer, requested: string | undefined): boolean =>
  requested === undefined || port?.name === requested || String(port?.port) === requested;

type NumericTarget = Extract<ExplainTarget, { by: 'address' | 'node-port' }>;

/** A shared node port is served on every address of the node. */
const matchesNodePort = (target: NumericTarget, nodePort: NodePort | undefined, family: Family): boolean => {
  if (nodePort === undefined) return false;
  if (target.protocol !== undefined && target.protocol !== nodePort.protocol) return false;
  if (target.by === 'node-port') return nodePort.port === target.port;
  const { address, port } = target.target;
  return port === nodePort.port && familyOf(address) === family;
};

const matchesIdentity = (target: NumericTarget, identity: VirtualServerIdentity): boolean => {
  if (identity.by !== 'address')
    return matchesNodePort(target, nodePortOfMark(identity.fwmark), identity.family);
  if (target.protocol !== undefined && target.protocol !== identity.protocol) return false;
  if (target.by === 'node-port') return identity.port === target.port;
  const { address, port } = target.target;
  return identity.address === address && (port === undefined || port === identity.port);
};

export const isNumericTarget = (target: ExplainTarget): target is NumericTarget =>
  target.by === 'address' || target.by === 'node-port';

const isEndpoint = ({ matched }: LookupMatch): boolean => matched === 'pod' || matched === 'endpoint';

const matcherFor = (target: ExplainTarget): FoundService['matches'] => {
  switch (target.by) {
    case 'name':
      return (served) => hasPort(served, target.target.port);
    case 'bare-name':
      return (served) => hasPort(served, target.port);
    case 'node-port':
      return (served) => served.frontend === 'NodePort' && matchesIdentity(target, served.identity);
    case 'address':
      return ({ identity }) => matchesIdentity(target, identity);
  }
};

const foundService = (target: ExplainTarget, match: LookupMatch): FoundService => {
  const { service, because, endpoint } = match;
  return isEndpoint(match)
    ? { service, because, pod: endpoint, matches: everything }
    : { service, because, pod: undefined, matches: matcherFor(target) };
};

const isOfKind = (target: ExplainTarget, { matched }: LookupMatch): boolean => {
  if (target.by !== 'name' || target.target.by === 'service-or-pod') return true;
  return matched === target.target.by;
};

/** Looks the target up in the daemon. A name that a Service and a pod share means the Service. */
export const findServices = async (
  client: Pick<AdminClient, 'lookUp'>,
  target: ExplainTarget,
): Promise<readonly FoundService[]> => {
  const { matches } = await client.lookUp(queryOf(target));
  const fitting = matches.filter((match) => isOfKind(target, match));
  const services = fitting.filter((match) => !isEndpoint(match));
  const chosen = services.length > 0 ? services : fitting;
  const requested = isNumericTarget(target) ? target.protocol : undefined;
  return chosen
    .filter(({ protocol }) => requested === undefined || protocol === undefined || protocol === requested)
    .map((match) => foundService(target, match));
};

/** The name that the user most likely meant. */
export const suggestName = (
  { virtualServers }: VirtualServersResponse,
  target: ExplainTarget,
): string | undefined => {
  const all = Object.values(virtualServers);
  const services = new Set(all.flatMap(({ service }) => service ?? []));
  if (target.by === 'bare-name') {
    const short = new Map([...services].map((service) => [service.split('/')[1] ?? '', service]));
    const meant = nearest(target.name, short.keys());
    return meant === undefined ? undefined : short.get(meant);
  }
  if (target.by !== 'name') return undefined;
  const pods = new Set(
    all.flatMap(({ realServers }) => Object.values(realServers).flatMap(({ pod }) => pod ?? [])),
  );
  return nearest(`${target.target.namespace}/${target.target.name}`, [...services, ...pods]);
};

/** Deleted Services of that name that still have virtual servers. */
export const orphanedServices = (
  { virtualServers }: VirtualServersResponse,
  target: ExplainTarget,
): readonly string[] => {
  const isMeant = (service: string): boolean =>
    (target.by === 'name' &&
      target.target.by !== 'pod' &&
      service === `${target.target.namespace}/${target.target.name}`) ||
    (target.by === 'bare-name' && service.endsWith(`/${target.name}`));
  const orphaned = Object.values(virtualServers).filter(({ lingering }) => lingering !== undefined);
  return [...new Set(orphaned.flatMap(({ service }) => service ?? []))].filter(isMeant);
};

/** Whether the target selects a virtual server of the kernel; without names only addresses and ports can. */
export const identityMatcherFor = (target: ExplainTarget): ((identity: VirtualServerIdentity) => boolean) =>
  isNumericTarget(target) ? (identity) => matchesIdentity(target, identity) : () => false;
