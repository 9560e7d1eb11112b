import { Turns } from '../../base/async.js';
import { serviceKey, type Service, type ServiceKey } from '../../model/service.js';
import type { TargetAnswer } from '../../plan/admin-answers.js';
import type { LookupParts } from './lookup.js';

type Store = LookupParts['store'];

/** What a person can look through. */
const mostTargets = 1_000;

/** How long a search may hold up everything else. */
const longestTurnMilliseconds = 2;

const portWord = ({ name, port }: Service['ports'][number]): string => (name === '' ? String(port) : name);

const serviceTarget = ({ key, type, clusterIps, ports }: Service): TargetAnswer => {
  const words = [type, ...Object.values(clusterIps), ...ports.map(portWord)];
  return { target: key, about: words.join(' ') };
};

const podsOf = (key: ServiceKey, store: Store): readonly string[] =>
  store.slicesOf(key).flatMap(({ endpoints }) => endpoints.flatMap(({ pod }) => pod ?? []));

function* targetsOf(service: Service, start: string, store: Store): Iterable<TargetAnswer> {
  const { key, ports } = service;
  if (key.startsWith(start)) yield serviceTarget(service);
  if (start === key || start.startsWith(`${key}:`))
    for (const port of ports)
      yield { target: `${key}:${portWord(port)}`, about: `${port.protocol} ${port.port}` };
  const [namespace = ''] = key.split('/', 1);
  if (!start.startsWith(`${namespace}/`)) return;
  for (const pod of podsOf(key, store)) {
    const target = serviceKey(namespace, pod);
    // A name that a Service and a pod have means the Service.
    if (store.service(target) === undefined) yield { target, about: `pod of ${key}` };
  }
}

/** Services, ports of one that is written out, and pods of a namespace that is: what could be meant by somebody who has begun so. */
export const targetsFrom = async (start: string, store: Store): Promise<readonly TargetAnswer[]> => {
  const found = new Map<string, TargetAnswer>();
  const turns = new Turns(longestTurnMilliseconds);
  for (const key of store.serviceKeys()) {
    await turns.turn();
    const service = store.service(key);
    if (service === undefined) continue;
    // A name that a Service and a pod have means the Service.
    for (const one of targetsOf(service, start, store))
      if (one.target.startsWith(start)) found.set(one.target, one);
    if (found.size >= mostTargets) break;
  }
  return [...found.values()].slice(0, mostTargets);
};
