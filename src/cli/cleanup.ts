import {
  cidrContains,
  families,
  familyOf,
  hostPrefixLength,
  isIpv6LinkLocal,
  type Cidr,
  type Family,
  type IpAddress,
} from '../base/ip.js';
import { count } from '../base/text.js';
import { acceptRules, deleteAcceptRule, type AcceptRule } from '../kernel/nftables/accept-answers.js';
import type { RouteClient } from '../kernel/rtnetlink/client.js';
import type { Link, LinkAddress } from '../kernel/rtnetlink/convert.js';
import { tableName, type ElementKey } from '../model/nftables.js';
import { dummyInterfaceName } from '../model/node.js';
import { virtualServerKey, type VirtualServerIdentity } from '../model/virtual-server.js';
import type { Outcome } from '../model/operation.js';
import { ownershipOf, type OwnershipFacts } from '../plan/ownership.js';
import { isNamedIn } from '../plan/packet-elements.js';
import { isPacketClass } from '../plan/packet-table.js';
import { formatHostAddress } from '../plan/table.js';
import { askDaemon } from './admin-client.js';
import { openClients, type Clients } from './kernel-clients.js';
import { withRemedy } from './read-kernel.js';
import {
  listed,
  reasonOf,
  RemovalReport,
  unlessLacking,
  virtualServersInOrder,
  type CleanupFormat,
  type Removal,
} from './removal.js';

export interface CleanupOptions {
  /** Virtual servers and addresses inside are left alone. */
  readonly excludeCidrs: readonly Cidr[];
  /** Only say what would be removed. */
  readonly dryRun: boolean;
}

/** All that is ours, and what stands beside it. */
interface Found {
  readonly virtualServers: readonly VirtualServerIdentity[];
  readonly others: readonly VirtualServerIdentity[];
  readonly dummy: Link | undefined;
  /** Of kube-ipvs0, those that are to go. */
  readonly addresses: readonly LinkAddress[];
  /** Of kube-ipvs0, those that are somebody else's, or serve what is: they keep the device. */
  readonly kept: readonly LinkAddress[];
  readonly tables: readonly Family[];
  readonly rules: readonly AcceptRule[];
}

interface ReadTables {
  readonly tables: readonly Family[];
  readonly named: ReadonlySet<ElementKey>;
  /** The families for which this kernel has nftables: what our tables do not name there is not ours. */
  readonly recorded: ReadonlySet<Family>;
}

const readTables = async ({ nftables }: Clients): Promise<ReadTables> => {
  const tables: Family[] = [];
  const named = new Set<ElementKey>();
  const recorded = new Set<Family>();
  for (const family of families) {
    if (await unlessLacking(() => nftables?.supports(family))) recorded.add(family);
    const table = await unlessLacking(() => nftables?.table(family, tableName));
    if (table === undefined) continue;
    tables.push(family);
    for (const set of table.sets.filter(({ name }) => isPacketClass(name))) {
      const elements = await unlessLacking(() => nftables?.elements(family, tableName, set));
      for (const { key } of elements ?? []) named.add(key);
    }
  }
  return { tables, named, recorded };
};

const readDummy = async ({
  route,
}: Clients): Promise<{ readonly dummy: Link | undefined; readonly bound: readonly LinkAddress[] }> => {
  const dummy = await route.link(dummyInterfaceName);
  if (dummy?.kind !== 'dummy') return { dummy, bound: [] };
  const all = await route.addresses();
  return { dummy, bound: all.filter(({ interfaceIndex }) => interfaceIndex === dummy.index) };
};

const read = async (clients: Clients, excludeCidrs: readonly Cidr[]): Promise<Found> => {
  const all = await virtualServersInOrder(clients.ipvs);
  const { tables, named, recorded } = await readTables(clients);
  const { dummy, bound } = await readDummy(clients);
  const isExcluded = (address: IpAddress): boolean =>
    excludeCidrs.some((cidr) => cidrContains(cidr, address));
  const facts: OwnershipFacts = {
    isNamed: (identity) => isNamedIn(identity, (key) => named.has(key)),
    hasRecord: (family) => recorded.has(family),
    takesOver: () => false,
    isWanted: () => false,
    isGiven: () => false,
    hasDummyAddress: (address) => bound.some((entry) => entry.address === address),
    hasNodeAddress: () => false,
    isExcluded,
  };
  const isOurs = (identity: VirtualServerIdentity): boolean =>
    !(identity.by === 'address' && isExcluded(identity.address)) && ownershipOf(identity, facts) === 'ours';
  const others = all.filter((identity) => !isOurs(identity));
  const used = new Set(others.map((identity) => (identity.by === 'address' ? identity.address : undefined)));
  // A link-local address is the kernel's, and goes with the device.
  const stays = ({ address, prefixLength }: LinkAddress): boolean =>
    !isIpv6LinkLocal(address) &&
    (prefixLength !== hostPrefixLength(familyOf(address)) || isExcluded(address) || used.has(address));
  return {
    virtualServers: all.filter(isOurs),
    others,
    dummy,
    addresses: bound.filter((entry) => !stays(entry)),
    kept: bound.filter(stays),
    tables,
    rules: (await unlessLacking(acceptRules)) ?? [],
  };
};

const textOfTable = (family: Family): string => `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${tableName}`;

const removeVirtualServers = ({ ipvs }: Clients, found: Found): readonly Removal[] => {
  const operations = found.virtualServers.map(
    (server) => ({ kind: 'delete-virtual-server', server }) as const,
  );
  let outcomes: Promise<readonly Outcome[]> | undefined;
  return found.virtualServers.map((identity, index) => ({
    what: `virtual server ${virtualServerKey(identity)}`,
    // All at once, when the first one is to go.
    remove: async () => reasonOf((await (outcomes ??= ipvs?.apply(operations)))?.[index], ['ESRCH']),
  }));
};

const unbind = (route: RouteClient, dummy: Link, addresses: readonly LinkAddress[]): readonly Removal[] =>
  addresses
    .filter(({ address }) => !isIpv6LinkLocal(address))
    .map(({ address }) => ({
      what: `address ${formatHostAddress(address)} of ${dummyInterfaceName}`,
      remove: async () => {
        const [outcome] = await route.apply(dummy.index, [{ kind: 'unbind-address', address }]);
        return reasonOf(outcome, ['EADDRNOTAVAIL', 'ENODEV']);
      },
    }));

const removeInterface = ({ route }: Clients, { dummy, addresses, kept }: Found): readonly Removal[] => {
  if (dummy === undefined) return [];
  if (dummy.kind !== 'dummy')
    return [
      {
        what: `interface ${dummyInterfaceName}`,
        obstacle: `it is no dummy device (${dummy.kind ?? 'of another kind'}), so kube-ipvs has not made it; if nobody needs it: ip link delete ${dummyInterfaceName}`,
      },
    ];
  if (kept.length > 0) return unbind(route, dummy, addresses);
  return [
    {
      what: `interface ${dummyInterfaceName} with ${count(addresses.length, 'address')}`,
      remove: async () => reasonOf(await route.deleteLink(dummy.index), ['ENODEV']),
    },
  ];
};

const removeTables = ({ nftables }: Clients, { tables }: Found): readonly Removal[] =>
  tables.map((family) => ({
    what: textOfTable(family),
    remove: async () => {
      const outcome = await nftables?.transaction([{ kind: 'delete-table', family, name: tableName }]);
      return reasonOf(outcome, ['ENOENT']);
    },
  }));

const removeRules = ({ rules }: Found): readonly Removal[] =>
  rules.map((rule) => ({
    what: `our rule in chain ${rule.chain} of table ${rule.family} ${rule.table}`,
    remove: async () => deleteAcceptRule(rule),
  }));

/** A daemon that runs beside us brings everything back. */
const warnOfDaemon = async (report: RemovalReport): Promise<void> => {
  const { answer } = await askDaemon(undefined, (client) => client.status()).catch(() => ({
    answer: undefined,
  }));
  if (answer !== undefined)
    report.warn(
      `kube-ipvs runs here (process ${answer.pid}) and brings back what is removed; stop it first, where it is a DaemonSet by kubectl -n kube-system delete daemonset kube-ipvs`,
    );
};

/**
 * Removes what kube-ipvs made: its virtual servers, then kube-ipvs0 with its addresses and its rules in chains of others, then
 * its packet rules, which say what is ours. Asks no API server. 0: nothing of ours is left; 1: something is, told on standard error. Rejects with
 * KernelAccessError where we may not look.
 */
export const cleanup = async (
  { excludeCidrs, dryRun }: CleanupOptions,
  output: CleanupFormat = 'text',
): Promise<number> => {
  try {
    const report = new RemovalReport(dryRun, output);
    await warnOfDaemon(report);
    using clients = await openClients();
    const found = await read(clients, excludeCidrs);
    const virtualServers = removeVirtualServers(clients, found);
    const links = removeInterface(clients, found);
    const tables = removeTables(clients, found);
    const rules = removeRules(found);
    if ([...virtualServers, ...links, ...tables, ...rules].length === 0)
      report.note('nothing of kube-ipvs is here');
    const stuck = await report.perform(virtualServers);
    const left = stuck + (await report.perform([...links, ...rules]));
    // The tables are the record of what is ours: they stay as long as something is to be found by them.
    const kept = stuck === 0 ? await report.perform(tables) : tables.length;
    if (stuck > 0 && kept > 0)
      process.stderr.write(
        'kube-ipvs: kept the packet rules, by which the next cleanup knows the virtual servers that are left\n',
      );
    if (found.others.length > 0)
      report.note(
        `left alone ${count(found.others.length, 'virtual server')} of others: ${listed(found.others)}`,
      );
    if (found.kept.length > 0)
      report.note(
        `left alone ${dummyInterfaceName} with ${count(found.kept.length, 'address')} of others: ${found.kept
          .map(({ address }) => address)
          .toSorted()
          .join(', ')}`,
      );
    report.end();
    return left + kept === 0 ? 0 : 1;
  } catch (error) {
    throw withRemedy(error);
  }
};
