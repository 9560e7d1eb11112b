import { isDeepStrictEqual } from 'node:util';
import { sleep } from '../../base/async.js';
import { printable } from '../../base/text.js';
import { UsageError } from '../../config/parse-flags.js';
import { realServerJson, virtualServerJson } from '../../plan/output/ipvs-table-formats.js';
import { queryDaemon } from '../admin/admin-client.js';
import type { InstanceOptions } from '../admin/instance.js';
import {
  resolveQuery,
  fetchServiceNames,
  formatSnapshot,
  readMatching,
  type DumpQuery,
  type DumpOptions,
} from './dump.js';
import type { ObservedVirtualServer } from '../kernel/kernel-snapshot.js';
import { abortOnSignal } from '../framework/abort-on-signal.js';
import { buildServiceIndex, servicePortText } from '../admin/service-index.js';
import { writeTexts } from '../output/standard-output.js';

/** The settings of a virtual server or real server. Counters are not watched: `top` shows them. */
export interface WatchedServer {
  readonly virtualServer: string;
  readonly realServer?: string;
  readonly [fact: string]: unknown;
}

export interface Change {
  readonly change: 'added' | 'changed' | 'removed';
  readonly server: WatchedServer;
}

type WatchedServers = ReadonlyMap<string, WatchedServer>;

const withoutTimes = (names: object): object => ({ ...names, drain: undefined });

/** The watched servers by key. */
export const watchedServers = (
  virtualServers: readonly ObservedVirtualServer[],
  { names }: Pick<DumpQuery, 'names'>,
): WatchedServers => {
  const watched = new Map<string, WatchedServer>();
  for (const entry of virtualServers) {
    const { key: virtualServer } = entry.server;
    const known = names.get(virtualServer);
    const { realServers: _, ...setUp } = virtualServerJson(entry);
    watched.set(virtualServer, {
      virtualServer,
      ...(known === undefined
        ? {}
        : {
            service: servicePortText(known),
            frontend: known.frontend,
            ...(known.lingering === undefined ? {} : { state: 'lingering' }),
          }),
      ...setUp,
    });
    for (const [realServer, server] of entry.realServers)
      watched.set(`${virtualServer} → ${realServer}`, {
        virtualServer,
        realServer,
        ...withoutTimes(known?.realServers[realServer] ?? {}),
        ...realServerJson(server),
      });
  }
  return watched;
};

/** The changes, in the order of the current servers; removed servers come last. */
export const changesBetween = (before: WatchedServers, now: WatchedServers): readonly Change[] => {
  const changes: Change[] = [];
  for (const [key, server] of now) {
    const known = before.get(key);
    if (known === undefined) changes.push({ change: 'added', server });
    else if (!isDeepStrictEqual(known, server)) changes.push({ change: 'changed', server });
  }
  for (const [key, server] of before) if (!now.has(key)) changes.push({ change: 'removed', server });
  return changes;
};

const factText = ([name, value]: readonly [string, unknown]): string =>
  `${name} ${Array.isArray(value) ? value.join(',') : String(value)}`;

/** `12:00:01  changed  TCP 10.96.0.1:80 → 10.244.1.1:8080  weight 0  pod shop/web-1`. */
export const changeLine = ({ change, server }: Change, time: Date): string => {
  const { virtualServer, realServer, ...facts } = server;
  const clock = time.toTimeString().slice(0, 8);
  const what = realServer === undefined ? virtualServer : `${virtualServer} → ${realServer}`;
  const factTexts = Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(factText);
  return `${printable([clock, change.padEnd(7), what, ...factTexts].join('  '))}\n`;
};

const jsonLine = ({ change, server }: Change, time: Date): string =>
  `${JSON.stringify({ time: time.toISOString(), change, ...server })}\n`;

/** The kernel sends no notifications of changes in the IPVS table: it is polled, for at most a fifth of the time. */
const pauseMilliseconds = 1_000;
const pauseShare = 4;

/** The current names. While the daemon is down or has just started, the last ones: its restart is not a change. */
export const refreshQuery = async (last: DumpQuery, options: InstanceOptions): Promise<DumpQuery> => {
  const result = await queryDaemon(options, async (client) =>
    (await client.status()).synced ? fetchServiceNames(client, last.target) : undefined,
  );
  return result.response === undefined ? last : { ...last, names: buildServiceIndex(result.response) };
};

/** Prints the table, then its changes until a signal. */
export const watchDump = async (options: DumpOptions): Promise<number> => {
  const { output } = options;
  if (output !== 'table' && output !== 'wide' && output !== 'json')
    throw new UsageError('--watch supports only -o table, wide and json');
  const ended = abortOnSignal();
  let before: WatchedServers | undefined;
  let query: DumpQuery | undefined;
  while (!ended.aborted) {
    const started = performance.now();
    query = query === undefined ? await resolveQuery(options) : await refreshQuery(query, options);
    const snapshot = await readMatching(query, options);
    const now = watchedServers(snapshot.virtualServers, query);
    const line = output === 'json' ? jsonLine : changeLine;
    const time = new Date();
    const texts =
      before === undefined && output !== 'json'
        ? await formatSnapshot(snapshot, query, options)
        : changesBetween(before ?? new Map(), now).map((change) => line(change, time));
    await writeTexts(texts);
    before = now;
    await sleep(Math.max(pauseMilliseconds, (performance.now() - started) * pauseShare), ended);
  }
  return 0;
};
