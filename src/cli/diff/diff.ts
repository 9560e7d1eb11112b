import { sleep } from '../../base/async.js';
import { BaseError, messageOf } from '../../base/errors.js';
import { UsageError } from '../../config/parse-flags.js';
import { loadSettings } from '../../config/load-settings.js';
import type { IpAddress } from '../../base/ip.js';
import { virtualServerKey, type VirtualServerKey } from '../../model/virtual-server.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { formatEntry } from '../../model/plan-entry.js';
import type { StatusResponse } from '../../admin-api/responses.js';
import { paceWords } from '../../plan/pace/pace-step.js';
import { stepsOf, type PlanGroup } from '../../plan/output/plan-text.js';
import { parseVirtualServerKey } from '../../admin-api/desired-response.js';
import { adminClient, adminSocketDisabled, queryDaemon, type AdminClient } from '../admin/admin-client.js';
import { namesOf } from '../admin/instance.js';
import { selectTargets } from './diff-selection.js';
import { diffJson, diffText, type DiffResult, type Repair } from './diff-text.js';
import { buildServiceIndex, type ServiceIndex } from '../admin/service-index.js';
import { parseNodeAddresses } from '../input/node-addresses.js';
import { paletteFor, type ColorMode } from '../output/palette.js';
import { readObjects } from '../input/read-objects.js';
import { withRemedy } from '../kernel/read-kernel.js';
import { printDiagnostic } from '../output/standard-output.js';
import { renderFlags, type RenderOptions } from '../render/render.js';

export interface DiffOptions extends Omit<RenderOptions, 'output'> {
  readonly targets: readonly string[];
  readonly namespace: string | undefined;
  readonly repair: boolean;
  /** How long a repair may take. */
  readonly limitMilliseconds: number;
  readonly quiet: boolean;
  readonly output: 'text' | 'json';
  readonly color: ColorMode;
}

const exitStatuses = { equal: 0, different: 1, error: 2 } as const;

/** Only a difference that persists for this time counts: the daemon may just be applying it. */
const confirmationDelayMilliseconds = 500;

interface Comparison {
  readonly groups: readonly PlanGroup[];
  readonly contested: StatusResponse['contested'];
}

/** A source of the desired state, and how to bring the kernel there. */
interface DesiredSource {
  readonly by: Repair['by'];
  compare(): Promise<Comparison>;
  /** Resolves when the repair has started or is done; to the objects that the kernel refused. */
  repair(): Promise<Repair['refused']>;
}

/** The steps in both comparisons. */
const persistentDifferences = (
  first: readonly PlanGroup[],
  second: readonly PlanGroup[],
): readonly PlanGroup[] => {
  const before = new Set(stepsOf(first).map(formatEntry));
  return second
    .map(({ name, steps }) => ({ name, steps: steps.filter((step) => before.has(formatEntry(step))) }))
    .filter(({ steps }) => steps.length > 0);
};

const selectedDifferences = (
  { groups, contested }: Comparison,
  { targets, namespace }: DiffOptions,
  names: ServiceIndex,
): Comparison => {
  const selection = selectTargets(targets, namespace, names);
  return {
    groups: selection.filterGroups(groups),
    contested: contested.filter(({ virtualServer }) => selection.includes(virtualServer)),
  };
};

const keysByAddress = (names: ServiceIndex): ReadonlyMap<IpAddress, readonly VirtualServerKey[]> => {
  const byAddress = new Map<IpAddress, VirtualServerKey[]>();
  for (const name of names.keys()) {
    const identity = parseVirtualServerKey(name);
    if (identity?.by !== 'address') continue;
    const keys = byAddress.get(identity.address) ?? [];
    keys.push(virtualServerKey(identity));
    byAddress.set(identity.address, keys);
  }
  return byAddress;
};

const daemonSource = async (client: AdminClient, options: DiffOptions): Promise<DesiredSource> => {
  const { compareWithDaemon } = await import('../../compare/compare-with-daemon.js');
  const compareOnce = async (): Promise<Comparison> => {
    const { source, synced, contested } = await client.status();
    if (!source.delivered || !synced)
      throw new BaseError(
        'the daemon has not programmed the kernel yet. Run `kube-ipvs status --wait` to wait for it and to see what it waits for.',
      );
    const names = buildServiceIndex(await client.virtualServers());
    const keysAt = keysByAddress(names);
    const groups = await compareWithDaemon(await client.desired(), namesOf(options), {
      ownerOf: (key) => names.get(key)?.service,
      virtualServersAt: (address) => keysAt.get(address) ?? [],
      paceAt: (key, realServer) => {
        const pace = names.get(key)?.realServers[realServer]?.pace;
        return pace && paceWords(pace);
      },
    });
    return selectedDifferences({ groups, contested }, options, names);
  };
  return {
    by: 'daemon',
    async compare(): Promise<Comparison> {
      const first = await compareOnce();
      if (first.groups.length === 0) return first;
      await sleep(confirmationDelayMilliseconds);
      const second = await compareOnce();
      return { ...second, groups: persistentDifferences(first.groups, second.groups) };
    },
    async repair(): Promise<Repair['refused']> {
      await client.resync();
      return [];
    },
  };
};

const requireNoDaemon = async (options: DiffOptions, { serviceProxyName }: InstanceNames): Promise<void> => {
  const { response: daemon } = await queryDaemon({ ...options, serviceProxyName }, (client) =>
    client.status(),
  );
  if (daemon !== undefined)
    throw new BaseError(
      `cannot repair from files: a kube-ipvs daemon runs on this node (process ${daemon.pid}) and would undo the changes. Stop it first, or repair without -f.`,
    );
};

const manifestSource = async (options: DiffOptions): Promise<DesiredSource> => {
  const { compareWithObjects, programObjects } = await import('../../compare/compare-with-objects.js');
  const settings = loadSettings(renderFlags(options));
  const objects = readObjects(options.filename, settings.names.serviceProxyName);
  const { nodeAddresses } = options;
  const addresses = nodeAddresses === undefined ? undefined : parseNodeAddresses(nodeAddresses);
  const parts = { settings, objects, addresses };
  const warned = new Set<string>();
  const warn = (text: string): void => {
    if (!warned.has(text)) printDiagnostic(`warning: ${text}`);
    warned.add(text);
  };
  for (const problem of [...settings.warnings, ...objects.problems]) warn(problem);
  return {
    by: 'diff',
    async compare(): Promise<Comparison> {
      const { groups, contested, names, problems } = await compareWithObjects(parts);
      for (const problem of problems) warn(problem);
      return selectedDifferences(
        { groups, contested },
        options,
        buildServiceIndex({ version: 1, virtualServers: names }),
      );
    },
    async repair(): Promise<Repair['refused']> {
      await requireNoDaemon(options, settings.names);
      const refused = await programObjects(parts, options.limitMilliseconds);
      return refused.map(({ what, reason }) => ({ what, reason }));
    },
  };
};

const desiredSourceFor = (options: DiffOptions): Promise<DesiredSource> => {
  if (options.filename.length > 0) return manifestSource(options);
  const client = adminClient(options);
  if (client === undefined)
    throw new UsageError(`${adminSocketDisabled} Give the desired state with -f FILE.`);
  return daemonSource(client, options);
};

/** Repairs, and compares until nothing differs or the time is over. */
const repairDifferences = async (source: DesiredSource, options: DiffOptions): Promise<Repair> => {
  const end = performance.now() + options.limitMilliseconds;
  const refused = await source.repair();
  let { groups: remaining } = await source.compare();
  // The daemon answers before its repair is done.
  while (remaining.length > 0 && source.by === 'daemon' && performance.now() < end)
    ({ groups: remaining } = await source.compare());
  if (remaining.length === 0 || source.by === 'diff') return { by: source.by, remaining, refused };
  const { response: status } = await queryDaemon(options, (client) => client.status());
  return {
    by: source.by,
    remaining,
    refused: (status?.refused ?? []).map(({ what, reason }) => ({ what, reason })),
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

/** Prints how the kernel differs from the desired state, and repairs it on request. */
export const diff = async (options: DiffOptions): Promise<number> => {
  try {
    const source = await desiredSourceFor(options);
    const { groups, contested } = await source.compare();
    const repair = options.repair && groups.length > 0 ? await repairDifferences(source, options) : undefined;
    print({ groups, contested, repair }, options);
    return (repair?.remaining ?? groups).length === 0 ? exitStatuses.equal : exitStatuses.different;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    printDiagnostic(messageOf(withRemedy(error)));
    return exitStatuses.error;
  }
};
