import type { Reconciler } from '../../apply/reconciler.js';
import type { Observed } from '../../apply/observed.js';
import { parseIp, type IpAddress } from '../../base/ip.js';
import { serviceKey, type ServiceKey } from '../../model/service.js';
import { formatEntry, planEntry } from '../../model/plan-entry.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import {
  adminVersion,
  type LookupAnswer,
  type ResyncAnswer,
  type TargetsAnswer,
} from '../../plan/admin-answers.js';
import { touch, type Touched } from '../../plan/diff.js';
import { phaseOperations } from '../../plan/order.js';
import type { Answer, Handler } from '../serving/answer.js';
import type { Proxy } from '../proxy.js';
import { lookUp, type LookupParts } from './lookup.js';
import type { Names } from './names.js';
import { statusAnswer, type StatusParts } from './status.js';
import { storyAnswer, type StoryParts } from './story.js';
import { targetsFrom } from './targets.js';
import {
  errorAnswer,
  listItems,
  listsAnswer,
  objectMembers,
  objectTexts,
  streamAnswer,
  valueAnswer,
  wholeMembers,
  type Member,
} from './stream.js';
import { wantedAnswer, wantedKeys, type WantedParts } from './wanted.js';

export interface AdminParts extends WantedParts {
  readonly status: StatusParts;
  readonly story: StoryParts;
  readonly lookup: LookupParts;
  readonly names: Names;
  readonly proxy: Pick<Proxy, 'resyncNow'>;
  readonly observed: Observed;
  readonly reconciler: Pick<Reconciler, 'plan'>;
}

interface Asked {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

const keysOf = ({ query }: Asked, { desired, names }: AdminParts): readonly VirtualServerKey[] => {
  const service = query.get('service');
  const lingering = [...names.allLingering(service === null ? undefined : (service as ServiceKey))];
  const asking =
    service === null
      ? wantedKeys(desired)
      : (desired.fragment(service as ServiceKey)?.virtualServers.keys() ?? []);
  return [...asking, ...lingering.map(([key]) => key)];
};

const isAt = ({ desired, observed }: AdminParts, key: VirtualServerKey, address: IpAddress): boolean => {
  const identity = (desired.virtualServer(key) ?? observed.virtualServer(key))?.server.identity;
  return identity?.by === 'address' && identity.address === address;
};

function* namesOf(asked: Asked, parts: AdminParts): Iterable<Member> {
  const { names } = parts;
  const service = asked.query.get('service');
  const address = parseIp(asked.query.get('address') ?? '');
  for (const key of keysOf(asked, parts)) {
    if (address !== undefined && !isAt(parts, key, address)) continue;
    const known = names.entryOf(key);
    if (known !== undefined && (service === null || known.own.service === service))
      yield [
        key,
        objectTexts([...wholeMembers(known.own), ['realServers', objectMembers(known.realServers)]]),
      ];
  }
}

const virtualServers = (asked: Asked, parts: AdminParts): Answer => {
  const address = asked.query.get('address');
  if (address !== null && parseIp(address) === undefined)
    return errorAnswer(400, `address: ${JSON.stringify(address)} is no IP address`);
  return streamAnswer([
    ['version', adminVersion],
    ['virtualServers', objectTexts(namesOf(asked, parts))],
  ]);
};

/** Why there is nothing to tell of a Service. */
const missing = (service: ServiceKey, { names }: AdminParts): string => {
  const lingering = [...names.allLingering(service)].map(
    ([
      key,
      {
        lingering: { secondsLeft },
      },
    ]) => `${key} (${Math.ceil(secondsLeft)} s left)`,
  );
  return lingering.length === 0
    ? `there is no Service ${service} that this proxy serves`
    : `there is no Service ${service} any more that this proxy serves; for open connections there are still ${lingering.join(', ')}`;
};

const story = ({ path: [, , namespace = '', name = ''] }: Asked, parts: AdminParts): Answer => {
  const service = serviceKey(namespace, name);
  const found = storyAnswer(service, parts.story);
  return found ?? errorAnswer(404, missing(service, parts));
};

const lookup = async ({ query }: Asked, parts: AdminParts): Promise<Answer> => {
  const text = query.get('q') ?? '';
  if (text === '') return errorAnswer(400, 'q: what is to be looked up is missing');
  const matches = await lookUp(text, parts.lookup);
  return valueAnswer({ version: adminVersion, query: text, matches } satisfies LookupAnswer);
};

const targets = async ({ query }: Asked, parts: AdminParts): Promise<Answer> => {
  const found = await targetsFrom(query.get('start') ?? '', parts.lookup.store);
  return valueAnswer({ version: adminVersion, targets: found } satisfies TargetsAnswer);
};

/** Keys that are planned for at a time. */
const sliceSize = 64;

function* slicesOf<Key>(keys: Iterable<Key>): Iterable<ReadonlySet<Key>> {
  const all = [...new Set(keys)];
  for (let at = 0; at < all.length; at += sliceSize) yield new Set(all.slice(at, at + sliceSize));
}

function* touchedSlices({ desired, observed }: AdminParts): Iterable<Touched> {
  const wanted = desired.keys();
  for (const elements of slicesOf([...wanted.elements, ...observed.elementKeys()])) yield touch({ elements });
  for (const servers of slicesOf([...wanted.virtualServers, ...observed.virtualServerKeys()]))
    yield touch({ virtualServers: servers });
  for (const addresses of slicesOf([...wanted.addresses, ...observed.addresses()]))
    yield touch({ addresses });
}

function* operationLines(parts: AdminParts): Iterable<string> {
  for (const slice of touchedSlices(parts))
    for (const operation of parts.reconciler.plan(slice).flatMap(phaseOperations))
      yield formatEntry(planEntry(operation, parts.observed));
}

const plan = (_: Asked, parts: AdminParts): Answer =>
  streamAnswer([
    ['version', adminVersion],
    ['operations', listItems(operationLines(parts))],
  ]);

const resyncPath = '/v1/resync';

const resync = ({ proxy }: AdminParts): Answer => {
  proxy.resyncNow();
  return valueAnswer({ version: adminVersion, accepted: true } satisfies ResyncAnswer);
};

type Page = (asked: Asked, parts: AdminParts) => Answer | Promise<Answer>;

const pages: Readonly<Record<string, Page>> = {
  '/v1/status': (_, parts) => listsAnswer(statusAnswer(parts.status)),
  '/v1/virtual-servers': virtualServers,
  '/v1/lookup': lookup,
  '/v1/targets': targets,
  '/v1/plan': plan,
  '/v1/wanted': (_, parts) => wantedAnswer(parts),
};

const pageOf = (pathname: string, { path }: Asked): Page | undefined =>
  pages[pathname] ?? (path.length === 4 && path[0] === 'v1' && path[1] === 'services' ? story : undefined);

const askedOf = (url: string): readonly [pathname: string, asked: Asked] | undefined => {
  try {
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    return [pathname, { path: pathname.slice(1).split('/').map(decodeURIComponent), query: searchParams }];
  } catch {
    return undefined;
  }
};

/** Everything that the admin socket answers: questions, and the wish that the kernel is looked at now. */
export const adminHandler =
  (parts: AdminParts): Handler =>
  ({ method, url = '/' }) => {
    const asked = askedOf(url);
    if (method === 'POST' && asked?.[0] === resyncPath) return resync(parts);
    if (method !== 'GET') return errorAnswer(405, `only GET is answered here, and POST ${resyncPath}`);
    if (asked === undefined) return errorAnswer(400, 'the path cannot be read');
    const page = pageOf(...asked);
    const known = [...Object.keys(pages), '/v1/services/NAMESPACE/NAME'].join(', ');
    return page === undefined ? errorAnswer(404, `there are ${known}`) : page(asked[1], parts);
  };
