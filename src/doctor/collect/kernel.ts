import { PrerequisiteError, requireScheduler } from '../../apply/prerequisites.js';
import { families, type Family } from '../../base/ip.js';
import { ConntrackClient } from '../../kernel/conntrack/client.js';
import { servedFamilies } from '../../kernel/ip-families.js';
import { IpsetClient } from '../../kernel/ipset/client.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { RouteClient } from '../../kernel/rtnetlink/client.js';
import { legacyTables } from '../../kernel/xtables/chains.js';
import { tableName, type ElementKey } from '../../model/nftables.js';
import { NetlinkError } from '../../netlink/errors.js';
import { isNamedIn } from '../../plan/packet-elements.js';
import { isPacketClass } from '../../plan/packet-table.js';
import type { ChainFact, NetworkFacts, OwnRules, SchedulerFact, VirtualServerFact } from '../facts.js';
import { UnseenError, using } from './attempt.js';
import { dummyModule, mtuOf } from './proc.js';

const isLacking = (error: unknown, errnos: readonly string[]): boolean =>
  error instanceof NetlinkError && errnos.includes(error.errno);

export const networkFacts = async (): Promise<NetworkFacts> =>
  using(
    () => RouteClient.open(),
    async (client) => ({
      links: (await client.links()).map((link) => ({ ...link, mtu: mtuOf(link.name) })),
      addresses: await client.addresses(),
      gateways: [...(await client.gateways(servedFamilies()))],
    }),
  );

export const dummyDriver = async (): Promise<'in use' | 'available' | 'absent'> =>
  using(
    () => RouteClient.open(),
    async (client) =>
      (await client.links()).some(({ kind }) => kind === 'dummy') ? 'in use' : dummyModule(),
  );

const openIpvs = (): IpvsClient => {
  try {
    return IpvsClient.open();
  } catch (error) {
    if (isLacking(error, ['ENOENT'])) throw new UnseenError('there is no IPVS here', 'see the check ipvs');
    throw error;
  }
};

export const ipvsTimeouts = async () => using(openIpvs, (client) => client.timeouts());

/** What a kernel answers that has no nftables, or not for a family. */
const withoutNftables = ['ENOENT', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EINVAL'];

interface OwnTables {
  readonly rules: readonly OwnRules[];
  readonly named: ReadonlySet<ElementKey>;
}

const readOwnTable = async (client: NftablesClient, family: Family): Promise<OwnTables> => {
  const table = await client.table(family, tableName);
  if (table === undefined) return { rules: [], named: new Set() };
  const named = new Set<ElementKey>();
  let elements = 0;
  for (const set of table.sets) {
    const found = await client.elements(family, tableName, set);
    elements += found.length;
    if (isPacketClass(set.name)) for (const { key } of found) named.add(key);
  }
  const hooks = table.chains.filter(({ hook }) => hook !== undefined).length;
  return { rules: [{ family, hooks, elements }], named };
};

const readOwnTables = async (): Promise<OwnTables> => {
  try {
    return await using(
      () => NftablesClient.open(),
      async (client) => {
        const tables: OwnTables[] = [];
        for (const family of families) tables.push(await readOwnTable(client, family));
        return {
          rules: tables.flatMap(({ rules }) => rules),
          named: new Set(tables.flatMap(({ named }) => [...named])),
        };
      },
    );
  } catch (error) {
    if (isLacking(error, withoutNftables)) return { rules: [], named: new Set() };
    throw error;
  }
};

export const ownRules = async (): Promise<readonly OwnRules[]> => (await readOwnTables()).rules;

export const virtualServers = async (): Promise<readonly VirtualServerFact[]> => {
  const { named } = await readOwnTables();
  return using(openIpvs, async (client) =>
    (await client.virtualServers()).map(({ identity, scheduler }) => ({
      identity,
      scheduler,
      ours: isNamedIn(identity, (key) => named.has(key)),
    })),
  );
};

/** Tries each of the schedulers by an attempt that cannot succeed; the kernel loads what it has, as it would for a Service. */
export const schedulers = async (wanted: ReadonlyMap<string, string>): Promise<readonly SchedulerFact[]> =>
  using(openIpvs, async (client) => {
    // Fails by itself where we have no right: a scheduler that we may not ask for is not missing.
    await client.timeouts();
    const found: SchedulerFact[] = [];
    for (const [name, wantedBy] of wanted) {
      try {
        await requireScheduler(client, name);
        found.push({ name, wantedBy, present: true });
      } catch (error) {
        if (!(error instanceof PrerequisiteError)) throw error;
        found.push({ name, wantedBy, present: false });
      }
    }
    return found;
  });

/** Whether the kernel answers a question for flows; one that has none, so that the answer is short. */
export const conntrackNetlink = async (): Promise<boolean> =>
  using(
    () => ConntrackClient.open(),
    async (client) => {
      try {
        await client.flows({ family: 'IPv4', protocol: 'SCTP', destinationPort: 1 });
        return true;
      } catch (error) {
        if (isLacking(error, ['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT'])) return false;
        throw error;
      }
    },
  );

/** Families of which nftables takes chains; tried by a transaction that is undone. */
export const nftablesFamilies = async (): Promise<readonly Family[]> => {
  try {
    return await using(
      () => NftablesClient.open(),
      async (client) => {
        const found: Family[] = [];
        for (const family of families) if (await client.supports(family)) found.push(family);
        return found;
      },
    );
  } catch (error) {
    if (isLacking(error, ['EPROTONOSUPPORT'])) return [];
    throw error;
  }
};

export const nftablesChains = async (): Promise<readonly ChainFact[]> => {
  try {
    const chains = await using(
      () => NftablesClient.open(),
      (client) => client.chains(),
    );
    return chains.filter(({ table }) => table !== tableName).map((chain) => ({ by: 'nftables', ...chain }));
  } catch (error) {
    if (isLacking(error, withoutNftables)) return [];
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
    if (isLacking(error, ['EINVAL', 'EPROTONOSUPPORT'])) return [];
    throw error;
  }
};
