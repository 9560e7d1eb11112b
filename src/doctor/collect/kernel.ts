import { PrerequisiteError, requireScheduler } from '../../apply/prerequisites.js';
import { families, type Family } from '../../base/ip.js';
import { ConntrackClient } from '../../kernel/conntrack/client.js';
import { servedFamilies } from '../../kernel/ip-families.js';
import { IpsetClient } from '../../kernel/ipset/client.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import { legacyTables } from '../../kernel/xtables/legacy-tables.js';
import { defaultInstance, isKubeIpvsTable, type InstanceNames } from '../../model/instance-names.js';
import type { ElementKey } from '../../nftables/declarations.js';
import { NetlinkError } from '../../netlink/errors.js';
import { hasOwnershipMarker } from '../../plan/packet-rules/packet-elements.js';
import { isOwnershipMarkerSet } from '../../plan/packet-rules/packet-sets.js';
import type { ChainFact, NetworkFacts, OwnRules, SchedulerFact, VirtualServerFact } from '../facts.js';
import { seeChecks } from '../remedy.js';
import { FactUnavailableError, withClient } from './collect-fact.js';
import { dummyModule, mtuOf } from './proc.js';

const hasErrno = (error: unknown, errnos: readonly string[]): boolean =>
  error instanceof NetlinkError && errnos.includes(error.errno);

export const networkFacts = async (names: InstanceNames): Promise<NetworkFacts> =>
  withClient(
    () => RtnetlinkClient.open(names),
    async (client) => ({
      dummyInterface: names.dummyInterface,
      links: (await client.links()).map((link) => ({ ...link, mtu: mtuOf(link.name) })),
      addresses: await client.addresses(),
      gateways: [...(await client.gateways(servedFamilies()))],
      vipRoutes: await client.vipRoutes(),
      foreignLocalRoutes: await client.foreignLocalRoutes(),
    }),
  );

export const dummyDriver = async (): Promise<'in use' | 'available' | 'absent'> =>
  withClient(
    () => RtnetlinkClient.open(defaultInstance),
    async (client) =>
      (await client.links()).some(({ kind }) => kind === 'dummy') ? 'in use' : dummyModule(),
  );

const openIpvs = (): IpvsClient => {
  try {
    return IpvsClient.open();
  } catch (error) {
    if (hasErrno(error, ['ENOENT']))
      throw new FactUnavailableError('this kernel has no IPVS', seeChecks('ipvs'));
    throw error;
  }
};

export const ipvsTimeouts = async () => withClient(openIpvs, (client) => client.timeouts());

export const syncDaemons = async () => withClient(openIpvs, (client) => client.syncDaemons());

/** Errors of a kernel without nftables, or without nftables for a family. */
const nftablesMissingErrnos = ['ENOENT', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EINVAL'];

interface OwnTables {
  readonly rules: readonly OwnRules[];
  readonly markedElements: ReadonlySet<ElementKey>;
}

const readOwnTable = async (client: NftablesClient, name: string, family: Family): Promise<OwnTables> => {
  const table = await client.table(family, name);
  if (table === undefined) return { rules: [], markedElements: new Set() };
  const markedElements = new Set<ElementKey>();
  let elements = 0;
  for (const set of table.sets) {
    const found = await client.elements(family, name, set);
    elements += found.length;
    if (isOwnershipMarkerSet(set.name)) for (const { key } of found) markedElements.add(key);
  }
  const hooks = table.chains.filter(({ hook }) => hook !== undefined).length;
  return { rules: [{ family, hooks, elements }], markedElements };
};

const readOwnTables = async ({ table: name }: InstanceNames): Promise<OwnTables> => {
  try {
    return await withClient(
      () => NftablesClient.open(),
      async (client) => {
        const tables: OwnTables[] = [];
        for (const family of families) tables.push(await readOwnTable(client, name, family));
        return {
          rules: tables.flatMap(({ rules }) => rules),
          markedElements: new Set(tables.flatMap(({ markedElements }) => [...markedElements])),
        };
      },
    );
  } catch (error) {
    if (hasErrno(error, nftablesMissingErrnos)) return { rules: [], markedElements: new Set() };
    throw error;
  }
};

export const ownRules = async (names: InstanceNames): Promise<readonly OwnRules[]> =>
  (await readOwnTables(names)).rules;

export const virtualServers = async (names: InstanceNames): Promise<readonly VirtualServerFact[]> => {
  const { markedElements } = await readOwnTables(names);
  return withClient(openIpvs, async (client) =>
    (await client.virtualServers()).map(({ identity, scheduler }) => ({
      identity,
      scheduler,
      ours: hasOwnershipMarker(identity, (key) => markedElements.has(key)),
    })),
  );
};

/** Tries each scheduler with a request that cannot succeed; the kernel loads its module as it would for a Service. */
export const schedulers = async (
  requesters: ReadonlyMap<string, string>,
): Promise<readonly SchedulerFact[]> =>
  withClient(openIpvs, async (client) => {
    // Rejects without CAP_NET_ADMIN: a scheduler that we may not query is not missing.
    await client.timeouts();
    const facts: SchedulerFact[] = [];
    for (const [name, requestedBy] of requesters) {
      try {
        await requireScheduler(client, name);
        facts.push({ name, requestedBy, present: true });
      } catch (error) {
        if (!(error instanceof PrerequisiteError)) throw error;
        facts.push({ name, requestedBy, present: false });
      }
    }
    return facts;
  });

/** Whether the kernel answers a query for flows; no flow matches this one, which keeps the reply short. */
export const conntrackNetlink = async (): Promise<boolean> =>
  withClient(
    () => ConntrackClient.open(),
    async (client) => {
      try {
        await client.flows({ family: 'IPv4', protocol: 'SCTP', destinationPort: 1 });
        return true;
      } catch (error) {
        if (hasErrno(error, ['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT'])) return false;
        throw error;
      }
    },
  );

/** Families for which nftables supports chains: tried with a transaction that the kernel rolls back. */
export const nftablesFamilies = async (): Promise<readonly Family[]> => {
  try {
    return await withClient(
      () => NftablesClient.open(),
      async (client) => {
        const found: Family[] = [];
        for (const family of families) if (await client.supports(family)) found.push(family);
        return found;
      },
    );
  } catch (error) {
    if (hasErrno(error, ['EPROTONOSUPPORT'])) return [];
    throw error;
  }
};

export const nftablesChains = async (): Promise<readonly ChainFact[]> => {
  try {
    const chains = await withClient(
      () => NftablesClient.open(),
      (client) => client.chains(),
    );
    return chains
      .filter(({ table }) => !isKubeIpvsTable(table))
      .map((chain) => ({ by: 'nftables', ...chain }));
  } catch (error) {
    if (hasErrno(error, nftablesMissingErrnos)) return [];
    throw error;
  }
};

export const legacyChains = (): readonly ChainFact[] =>
  legacyTables().flatMap(({ family, table, chains, inputPolicy }) => [
    ...chains.map((chain): ChainFact => ({ by: 'iptables-legacy', family, table, chain, hook: undefined })),
    ...(inputPolicy === undefined
      ? []
      : [
          {
            by: 'iptables-legacy' as const,
            family,
            table,
            chain: 'INPUT',
            hook: { type: 'filter' as const, hook: 'input' as const, priority: 0, policy: inputPolicy },
          },
        ]),
  ]);

export const ipsetNames = (): readonly string[] => {
  try {
    using client = IpsetClient.open();
    return client.names();
  } catch (error) {
    if (hasErrno(error, ['EINVAL', 'EPROTONOSUPPORT'])) return [];
    throw error;
  }
};
