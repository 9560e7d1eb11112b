import { formatSocketAddress, type IpAddress } from '../../base/ip.js';
import { nearest } from '../../config/nearest.js';
import type { ServiceIndex } from '../admin/service-index.js';
import { parseAddressTarget, type AddressTarget, type NameTarget, type Target } from './target.js';

/** The targets on this node: names from the daemon, and keys of virtual servers, `TCP 10.96.0.1:443`. */
export interface AvailableTargets {
  readonly names: ServiceIndex;
  readonly virtualServers: Iterable<string>;
}

/** Long names share many letters by chance. */
const maximumNameDistance = 3;

/** Addresses differ in few digits: only a typing error counts. */
const maximumAddressDistance = 2;

const nearestAddress = (
  { address, port }: AddressTarget,
  { virtualServers }: AvailableTargets,
): string | undefined => {
  const ports = new Map<IpAddress, Set<string>>();
  for (const key of virtualServers) {
    const at = parseAddressTarget(key.slice(key.indexOf(' ') + 1));
    if (at === undefined) continue;
    const known = ports.get(at.address) ?? new Set();
    ports.set(at.address, known.add(String(at.port)));
  }
  const meant = ports.has(address) ? address : nearest(address, ports.keys(), maximumAddressDistance);
  if (meant === undefined || port === undefined) return meant;
  const near = nearest(String(port), ports.get(meant) ?? []);
  return near === undefined ? meant : formatSocketAddress(meant, Number(near));
};

/** A similar name, else the same name in another namespace. */
const nearestName = (name: string, candidates: ReadonlySet<string>): string | undefined => {
  const bare = name.slice(name.indexOf('/'));
  return (
    nearest(name, candidates, maximumNameDistance) ??
    [...candidates].find((candidate) => candidate.endsWith(bare))
  );
};

const podsOf = (names: ServiceIndex): ReadonlySet<string> => {
  const pods = new Set<string>();
  for (const key of names.keys())
    for (const { pod } of Object.values(names.get(key)?.realServers ?? {}))
      if (pod !== undefined) pods.add(pod);
  return pods;
};

const servicesOf = (names: ServiceIndex): ReadonlySet<string> =>
  new Set([...names.keys()].flatMap((key) => names.get(key)?.service ?? []));

/** The names and numbers of the ports of one Service. */
const portsOf = (service: string, names: ServiceIndex): ReadonlySet<string> => {
  const ports = new Set<string>();
  for (const key of names.keys()) {
    const known = names.get(key);
    if (known?.service !== service || known.port === undefined) continue;
    if (known.port.name !== '') ports.add(known.port.name);
    ports.add(String(known.port.port));
  }
  return ports;
};

const nearestService = (
  { namespace, name, port }: NameTarget,
  names: ServiceIndex,
  services: ReadonlySet<string>,
): string | undefined => {
  const full = `${namespace}/${name}`;
  const service = services.has(full) ? full : nearestName(full, services);
  if (service === undefined || port === undefined) return service;
  const ports = portsOf(service, names);
  const [first] = ports;
  const meant = nearest(port, ports) ?? (service === full ? first : undefined);
  return meant === undefined ? service : `${service}:${meant}`;
};

const nearestPod = ({ namespace, name }: NameTarget, names: ServiceIndex): string | undefined => {
  const [home, pod] = nearestName(`${namespace}/${name}`, podsOf(names))?.split('/') ?? [];
  return pod === undefined ? undefined : `pod/${pod} -n ${home}`;
};

const nearestNamed = (target: NameTarget, { names }: AvailableTargets): string | undefined =>
  (target.by === 'pod' ? undefined : nearestService(target, names, servicesOf(names))) ??
  (target.by === 'service' ? undefined : nearestPod(target, names));

/** The existing target that the user most likely meant, as it is written on the command line; undefined where none is similar. */
export const nearestTarget = (target: Target, present: AvailableTargets): string | undefined => {
  if (target.by === 'address') return nearestAddress(target, present);
  if (target.by !== 'namespace') return nearestNamed(target, present);
  const namespaces = [...servicesOf(present.names)].map((service) => service.slice(0, service.indexOf('/')));
  const meant = nearest(target.namespace, new Set(namespaces));
  return meant === undefined ? undefined : `-n ${meant}`;
};

const kindNames: Readonly<Record<NameTarget['by'], string>> = {
  service: 'Service',
  pod: 'pod of a Service,',
  'service-or-pod': 'Service or pod',
};

/** `Service shop/web`, `virtual server at 10.96.0.1:443`. */
export const describeTarget = (target: Target): string => {
  if (target.by === 'namespace') return `virtual server of a Service in namespace ${target.namespace}`;
  if (target.by !== 'address') {
    const { by, namespace, name, port } = target;
    return `${kindNames[by]} ${namespace}/${name}${port === undefined ? '' : `:${port}`}`;
  }
  const { address, port } = target;
  return `virtual server at ${port === undefined ? address : formatSocketAddress(address, port)}`;
};

/** `Service shop/wbe not found. Did you mean shop/web?` */
export const notFoundMessage = (target: Target, present: AvailableTargets): string => {
  const meant = nearestTarget(target, present);
  const hint = meant === undefined ? 'Run `kube-ipvs dump` to list all.' : `Did you mean ${meant}?`;
  return `${describeTarget(target)} not found. ${hint}`;
};
