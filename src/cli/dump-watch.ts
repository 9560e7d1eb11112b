import { sleep } from '../base/async.js';
import { printable } from '../base/text.js';
import { UsageError } from '../config/flags.js';
import { realServerJson, virtualServerJson } from '../plan/table.js';
import { askDaemon } from './admin-client.js';
import { askFor, askNames, formatTable, readAsked, type Asked, type DumpOptions } from './dump.js';
import type { ObservedTable } from './kernel-table.js';
import { bookOf, servicePortText } from './names-book.js';
import { writeOut } from './write-out.js';

/** A virtual server, or a real server of one, as far as it is set up: what flows is no change (`top` shows that). */
export interface WatchedServer {
  readonly virtualServer: string;
  readonly realServer?: string;
  readonly [fact: string]: unknown;
}

export interface Change {
  readonly change: 'added' | 'changed' | 'removed';
  readonly server: WatchedServer;
}

type Watched = ReadonlyMap<string, WatchedServer>;

const withoutTimes = (names: object): object => ({ ...names, drain: undefined });

/** What is watched of the tables, by what it is. */
export const watchedServers = (
  tables: readonly ObservedTable[],
  { names }: Pick<Asked, 'names'>,
): Watched => {
  const watched = new Map<string, WatchedServer>();
  for (const table of tables) {
    const { key: virtualServer } = table.server;
    const known = names.of(virtualServer);
    const { realServers: _, ...setUp } = virtualServerJson(table);
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
    for (const [realServer, server] of table.realServers)
      watched.set(`${virtualServer} → ${realServer}`, {
        virtualServer,
        realServer,
        ...withoutTimes(known?.realServers[realServer] ?? {}),
        ...realServerJson(server),
      });
  }
  return watched;
};

/** What is not as it was, in the order of what there is now; what went comes last. */
export const changesBetween = (before: Watched, now: Watched): readonly Change[] => {
  const changes: Change[] = [];
  for (const [key, server] of now) {
    const known = before.get(key);
    if (known === undefined) changes.push({ change: 'added', server });
    else if (JSON.stringify(known) !== JSON.stringify(server)) changes.push({ change: 'changed', server });
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
  const told = Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(factText);
  return `${printable([clock, change.padEnd(7), what, ...told].join('  '))}\n`;
};

const jsonLine = ({ change, server }: Change, time: Date): string =>
  `${JSON.stringify({ time: time.toISOString(), change, ...server })}\n`;

/** The kernel tells nobody of what changes in its table: it is read again and again, in a part of the time that nobody feels. */
const pauseMilliseconds = 1_000;
const pauseShare = 4;

const untilEnded = (): AbortSignal => {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.once(name, () => controller.abort(name));
  return controller.signal;
};

/** Names as they are now; while the daemon is away or has just started, as they were: nothing has changed for that. */
export const askAgain = async (last: Asked, adminSocket: string | undefined): Promise<Asked> => {
  const told = await askDaemon(adminSocket, async (client) =>
    (await client.status()).synced ? askNames(client, last.target) : undefined,
  );
  return told.answer === undefined ? last : { ...last, names: bookOf(told.answer) };
};

/** Prints what there is, and from then on what changes, until it is told to stop. */
export const watchDump = async (options: DumpOptions): Promise<number> => {
  const { output } = options;
  if (output !== 'table' && output !== 'wide' && output !== 'json')
    throw new UsageError('--watch goes with -o table, wide or json');
  const ended = untilEnded();
  let before: Watched | undefined;
  let asked: Asked | undefined;
  while (!ended.aborted) {
    const started = performance.now();
    asked = asked === undefined ? await askFor(options) : await askAgain(asked, options.adminSocket);
    const table = await readAsked(asked, options);
    const now = watchedServers(table.tables, asked);
    const line = output === 'json' ? jsonLine : changeLine;
    const time = new Date();
    const texts =
      before === undefined && output !== 'json'
        ? await formatTable(table, asked, options)
        : changesBetween(before ?? new Map(), now).map((change) => line(change, time));
    await writeOut(texts);
    before = now;
    await sleep(Math.max(pauseMilliseconds, (performance.now() - started) * pauseShare), ended);
  }
  return 0;
};
