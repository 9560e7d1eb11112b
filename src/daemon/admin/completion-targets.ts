import { Yielder } from '../../base/async.js';
import { serviceKey, type Service, type ServiceKey } from '../../model/service.js';
import type { TargetResponse } from '../../admin-api/responses.js';
import type { LookupParts } from './lookup.js';

type Store = LookupParts['store'];

/** More than a person reads. */
const maximumTargets = 1_000;

/** How long a search may block the event loop. */
const maximumBlockingMilliseconds = 2;

const portText = ({ name, port }: Service['ports'][number]): string => (name === '' ? String(port) : name);

const serviceTarget = ({ key, type, clusterIps, ports }: Service): TargetResponse => {
  const words = [type, ...Object.values(clusterIps), ...ports.map(portText)];
  return { target: key, about: words.join(' ') };
};

const podsOf = (key: ServiceKey, store: Store): readonly string[] =>
  store.slicesOf(key).flatMap(({ endpoints }) => endpoints.flatMap(({ pod }) => pod ?? []));

function* targetsOfService(service: Service, prefix: string, store: Store): Iterable<TargetResponse> {
  const { key, ports } = service;
  if (key.startsWith(prefix)) yield serviceTarget(service);
  if (prefix === key || prefix.startsWith(`${key}:`))
    for (const port of ports)
      yield { target: `${key}:${portText(port)}`, about: `${port.protocol} ${port.port}` };
  const [namespace = ''] = key.split('/', 1);
  if (!prefix.startsWith(`${namespace}/`)) return;
  for (const pod of podsOf(key, store)) {
    const target = serviceKey(namespace, pod);
    // A name that both a Service and a pod have means the Service.
    if (store.service(target) === undefined) yield { target, about: `pod of ${key}` };
  }
}

/** Completes a prefix: Services, the ports of a complete Service, and the pods of a complete namespace. */
export const targetsWithPrefix = async (prefix: string, store: Store): Promise<readonly TargetResponse[]> => {
  const found = new Map<string, TargetResponse>();
  const yielder = new Yielder(maximumBlockingMilliseconds);
  for (const key of store.serviceKeys()) {
    await yielder.yieldIfDue();
    const service = store.service(key);
    if (service === undefined) continue;
    // A name that both a Service and a pod have means the Service.
    for (const target of targetsOfService(service, prefix, store))
      if (target.target.startsWith(prefix)) found.set(target.target, target);
    if (found.size >= maximumTargets) break;
  }
  return [...found.values()].slice(0, maximumTargets);
};
