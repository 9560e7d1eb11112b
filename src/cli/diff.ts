import { sleep } from '../base/async.js';
import { BaseError, messageOf } from '../base/errors.js';
import { UsageError } from '../config/flags.js';
import { loadSettings } from '../config/load-settings.js';
import type { IpAddress } from '../base/ip.js';
import { virtualServerKey, type VirtualServerKey } from '../model/virtual-server.js';
import { formatEntry } from '../model/plan-entry.js';
import type { StatusAnswer } from '../plan/admin-answers.js';
import { stepsOf, type PlanGroup } from '../plan/plan-text.js';
import { identityOfKey } from '../plan/wanted-answer.js';
import { adminClient, askDaemon, type AdminClient } from './admin-client.js';
import { choiceOf } from './diff-targets.js';
import { diffJson, diffText, type DiffResult, type Repair } from './diff-text.js';
import { bookOf, type NamesBook } from './names-book.js';
import { parseNodeAddresses } from './node-addresses.js';
import { paletteFor, type ColorWish } from './paint.js';
import { readObjects } from './read-objects.js';
import { withRemedy } from './read-kernel.js';
import { tell } from './write-out.js';
import { renderFlags, type RenderOptions } from './render.js';

export interface DiffOptions extends Omit<RenderOptions, 'output'> {
  readonly targets: readonly string[];
  readonly namespace: string | undefined;
  readonly repair: boolean;
  /** How long a repair may take. */
  readonly limitMilliseconds: number;
  readonly quiet: boolean;
  readonly output: 'text' | 'json';
  readonly color: ColorWish;
  readonly adminSocket: string | undefined;
}

const exitStatuses = { equal: 0, different: 1, trouble: 2 } as const;

/** What is looked at twice in this time and differs both times is not just being changed. */
const secondLookMilliseconds = 500;

interface Comparison {
  readonly groups: readonly PlanGroup[];
  readonly contested: StatusAnswer['contested'];
}

/** What somebody holds to be wanted, and how the kernel is brought there. */
interface Side {
  readonly by: Repair['by'];
  compare(): Promise<Comparison>;
  /** Resolves when it is under way or done; gives what the kernel refused. */
  repair(): Promise<Repair['refused']>;
}

/** The steps of both. */
const lasting = (first: readonly PlanGroup[], second: readonly PlanGroup[]): readonly PlanGroup[] => {
  const before = new Set(stepsOf(first).map(formatEntry));
  return second
    .map(({ name, steps }) => ({ name, steps: steps.filter((step) => before.has(formatEntry(step))) }))
    .filter(({ steps }) => steps.length > 0);
};

const chosen = (
  { groups, contested }: Comparison,
  { targets, namespace }: DiffOptions,
  names: NamesBook,
): Comparison => {
  const choice = choiceOf(targets, namespace, names);
  return {
    groups: choice.groups(groups),
    contested: contested.filter(({ virtualServer }) => choice.has(virtualServer)),
  };
};

const keysByAddress = (names: NamesBook): ReadonlyMap<IpAddress, readonly VirtualServerKey[]> => {
  const byAddress = new Map<IpAddress, VirtualServerKey[]>();
  for (const name of names.keys()) {
    const identity = identityOfKey(name);
    if (identity === undefined) continue;
    const keys = byAddress.get(identity.address) ?? [];
    keys.push(virtualServerKey(identity));
    byAddress.set(identity.address, keys);
  }
  return byAddress;
};

const daemonSide = async (client: AdminClient, options: DiffOptions): Promise<Side> => {
  const { compareWithAnswer } = await import('../daemon/compare/with-answer.js');
  const look = async (): Promise<Comparison> => {
    const { source, synced, contested } = await client.status();
    if (!source.delivered || !synced)
      throw new BaseError(
        'the daemon has not programmed the kernel yet: kube-ipvs status --wait waits for it, and tells what keeps it',
      );
    const names = bookOf(await client.virtualServers());
    const keysAt = keysByAddress(names);
    const groups = await compareWithAnswer(await client.wanted(), {
      ownerOf: (key) => names.of(key)?.service,
      virtualServersAt: (address) => keysAt.get(address) ?? [],
    });
    return chosen({ groups, contested }, options, names);
  };
  return {
    by: 'daemon',
    async compare(): Promise<Comparison> {
      const first = await look();
      if (first.groups.length === 0) return first;
      await sleep(secondLookMilliseconds);
      const second = await look();
      return { ...second, groups: lasting(first.groups, second.groups) };
    },
    async repair(): Promise<Repair['refused']> {
      await client.resync();
      return [];
    },
  };
};

const refuseBesideDaemon = async ({ adminSocket }: DiffOptions): Promise<void> => {
  const { answer } = await askDaemon(adminSocket, (client) => client.status());
  if (answer !== undefined)
    throw new BaseError(
      `a kube-ipvs runs here (process ${answer.pid}) and would undo what files say: stop it first, or repair without -f`,
    );
};

const filesSide = async (options: DiffOptions): Promise<Side> => {
  const { compareWithObjects, programObjects } = await import('../daemon/compare/with-objects.js');
  const settings = loadSettings(renderFlags(options));
  const objects = readObjects(options.filename);
  const { nodeAddresses } = options;
  const addresses = nodeAddresses === undefined ? undefined : parseNodeAddresses(nodeAddresses);
  const parts = { settings, objects, addresses };
  const warned = new Set<string>();
  const warn = (text: string): void => {
    if (!warned.has(text)) tell(`warning: ${text}`);
    warned.add(text);
  };
  for (const problem of [...settings.warnings, ...objects.problems]) warn(problem);
  return {
    by: 'diff',
    async compare(): Promise<Comparison> {
      const { groups, contested, names, problems } = await compareWithObjects(parts);
      for (const problem of problems) warn(problem);
      return chosen({ groups, contested }, options, bookOf({ version: 1, virtualServers: names }));
    },
    async repair(): Promise<Repair['refused']> {
      await refuseBesideDaemon(options);
      const refused = await programObjects(parts, options.limitMilliseconds);
      return refused.map(({ what, reason }) => ({ what, reason }));
    },
  };
};

const sideOf = (options: DiffOptions): Promise<Side> => {
  if (options.filename.length > 0) return filesSide(options);
  const client = adminClient(options.adminSocket);
  if (client === undefined)
    throw new UsageError('the admin socket is turned off: -f FILE says what is wanted instead');
  return daemonSide(client, options);
};

/** Repairs, and looks until nothing differs or the time is over. */
const repaired = async (side: Side, { limitMilliseconds, adminSocket }: DiffOptions): Promise<Repair> => {
  const end = performance.now() + limitMilliseconds;
  const refused = await side.repair();
  let { groups: left } = await side.compare();
  // The daemon answers before it has ended; what we did ourselves is done.
  while (left.length > 0 && side.by === 'daemon' && performance.now() < end)
    ({ groups: left } = await side.compare());
  if (left.length === 0 || side.by === 'diff') return { by: side.by, left, refused };
  const { answer } = await askDaemon(adminSocket, (client) => client.status());
  return {
    by: side.by,
    left,
    refused: (answer?.refused ?? []).map(({ what, reason }) => ({ what, reason })),
  };
};

const print = (result: DiffResult, { quiet, output, color }: DiffOptions): void => {
  if (quiet) return;
  process.stdout.write(
    output === 'json'
      ? `${JSON.stringify(diffJson(result), undefined, 2)}\n`
      : diffText(result, paletteFor(process.stdout, process.env, color)),
  );
};

/** Prints how the kernel differs from what is wanted, and repairs it where that is asked for. */
export const diff = async (options: DiffOptions): Promise<number> => {
  try {
    const side = await sideOf(options);
    const { groups, contested } = await side.compare();
    const repair = options.repair && groups.length > 0 ? await repaired(side, options) : undefined;
    print({ groups, contested, repair }, options);
    return (repair?.left ?? groups).length === 0 ? exitStatuses.equal : exitStatuses.different;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    tell(messageOf(withRemedy(error)));
    return exitStatuses.trouble;
  }
};
