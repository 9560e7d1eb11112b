import { InputError } from '../../base/errors.js';
import { familyOf, parseIp, type IpAddress } from '../../base/ip.js';
import { nodePortOfMark } from '../../model/firewall-mark.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import type { ServiceIndex } from '../admin/service-index.js';

/** Virtual servers by address. */
export interface AddressTarget {
  readonly by: 'address';
  readonly address: IpAddress;
  /** Undefined: every port. */
  readonly port: number | undefined;
}

/** Virtual servers by a name, which only the daemon knows. */
export interface NameTarget {
  readonly by: 'service' | 'pod' | 'service-or-pod';
  readonly namespace: string;
  readonly name: string;
  /** Name or number of a port of the Service; undefined: every port. */
  readonly port: string | undefined;
}

/** Everything in a namespace. */
export interface NamespaceTarget {
  readonly by: 'namespace';
  readonly namespace: string;
}

export type Target = AddressTarget | NameTarget | NamespaceTarget;

const targetForms =
  'a Service ("shop/web", "shop/web:http", "svc/web"), a VIP ("10.96.0.1"), a VIP with a port ("10.96.0.1:443", "[fd00::1]:443") or a pod ("pod/web-1")';

const parsePort = (text: string): number => {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new InputError(`"${text}" is not a valid port: a port is a number up to 65535`);
};

/** Reads an address with or without a port; undefined for any other text. */
export const parseAddressTarget = (text: string): AddressTarget | undefined => {
  const bare = parseIp(text);
  if (bare !== undefined) return { by: 'address', address: bare, port: undefined };
  const match = /^\[([^\]]+)\](?::(.*))?$/.exec(text) ?? /^([^:]+):(.*)$/.exec(text);
  const address = parseIp(match?.[1] ?? '');
  if (address === undefined) return undefined;
  return { by: 'address', address, port: match?.[2] === undefined ? undefined : parsePort(match[2]) };
};

const kinds: Readonly<Record<string, NameTarget['by']>> = {
  svc: 'service',
  service: 'service',
  services: 'service',
  po: 'pod',
  pod: 'pod',
  pods: 'pod',
};

const parseName = (text: string, namespace: string | undefined): NameTarget | undefined => {
  const [, first = '', name = '', port] =
    /^(?:([a-z0-9.-]+)\/)?([a-z0-9.-]+)(?::([a-z0-9-]+))?$/.exec(text) ?? [];
  if (name === '') return undefined;
  const kind = kinds[first];
  if (kind !== undefined) return { by: kind, namespace: namespace ?? 'default', name, port };
  if (first !== '') return { by: 'service-or-pod', namespace: first, name, port };
  return namespace === undefined ? undefined : { by: 'service-or-pod', namespace, name, port };
};

/**
 * Reads `10.96.0.1`, `10.96.0.1:443`, `[fd00::1]:443`, `shop/web`, `shop/web:http`, `svc/web`, `pod/web-1`, and `web` where a
 * namespace is given. InputError for anything else.
 */
export const parseTarget = (text: string, namespace?: string): AddressTarget | NameTarget => {
  const target = parseAddressTarget(text) ?? parseName(text, namespace);
  if (target !== undefined) return target;
  const inDefault = parseName(text, 'default');
  throw new InputError(
    inDefault === undefined
      ? `"${text}" is not a valid target (expected ${targetForms})`
      : `"${text}" has no namespace: use "default/${text}" or -n NAMESPACE`,
  );
};

/** A node port that all addresses of the node share matches with any of them, because only the node knows which it has. */
export const matchesAddress = (target: AddressTarget, identity: VirtualServerIdentity): boolean =>
  identity.by === 'address'
    ? identity.address === target.address && (target.port === undefined || target.port === identity.port)
    : familyOf(target.address) === identity.family &&
      target.port !== undefined &&
      nodePortOfMark(identity.fwmark)?.port === target.port;

const matchesName = (target: NameTarget | NamespaceTarget, key: string, names: ServiceIndex): boolean => {
  const known = names.get(key);
  if (known === undefined) return false;
  if (target.by === 'namespace') return known.service?.startsWith(`${target.namespace}/`) === true;
  const { port } = target;
  const name = `${target.namespace}/${target.name}`;
  if (target.by === 'pod') return Object.values(known.realServers).some(({ pod }) => pod === name);
  return (
    known.service === name &&
    (port === undefined || known.port?.name === port || String(known.port?.port) === port)
  );
};

/** Whether the target selects a virtual server. A name that a Service and a pod share means the Service. */
export const targetMatcher = (
  target: Target | undefined,
  names: ServiceIndex,
): ((identity: VirtualServerIdentity | undefined, key: string) => boolean) => {
  if (target === undefined) return () => true;
  if (target.by === 'address')
    return (identity) => identity !== undefined && matchesAddress(target, identity);
  if (target.by !== 'service-or-pod') return (_, key) => matchesName(target, key, names);
  const service = { ...target, by: 'service' } as const;
  const by = [...names.keys()].some((key) => matchesName(service, key, names))
    ? service
    : { ...target, by: 'pod' as const };
  return (_, key) => matchesName(by, key, names);
};
