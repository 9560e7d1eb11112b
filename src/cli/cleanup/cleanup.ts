import {
  cidrContains,
  families,
  familyOf,
  hostPrefixLength,
  isIpv6LinkLocal,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import { acceptRules, deleteAcceptRule } from '../../kernel/nftables/foreign/accept-rules.js';
import type { RuleId } from '../../kernel/nftables/object-ids.js';
import type { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import type { Link, LinkAddress } from '../../kernel/rtnetlink/convert.js';
import { tableName, type ElementKey } from '../../nftables/declarations.js';
import { dummyInterfaceName } from '../../model/node.js';
import { virtualServerKey, type VirtualServerIdentity } from '../../model/virtual-server.js';
import type { Outcome } from '../../model/operation.js';
import { ownershipOf, type OwnershipFacts } from '../../plan/ownership/ownership.js';
import { hasOwnershipMarker } from '../../plan/packet-rules/packet-elements.js';
import { isPacketClass } from '../../plan/packet-rules/packet-table.js';
import { formatHostAddress } from '../../plan/output/ipvs-table-formats.js';
import { queryDaemon } from '../admin/admin-client.js';
import { openKernelClients, type KernelClients } from '../kernel/kernel-clients.js';
import { withRemedy } from '../kernel/read-kernel.js';
import {
  serverList,
  failureReason,
  RemovalReport,
  ifSupported,
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
interface CleanupScope {
  readonly virtualServers: readonly VirtualServerIdentity[];
  readonly foreign: readonly VirtualServerIdentity[];
  readonly dummy: Link | undefined;
  /** Of kube-ipvs0, those that are to go. */
  readonly addresses: readonly LinkAddress[];
  /** Of kube-ipvs0, those that are somebody else's, or serve what is: they keep the device. */
  readonly keptAddresses: readonly LinkAddress[];
  readonly tables: readonly Family[];
  readonly rules: readonly RuleId[];
}

interface OwnedTables {
  readonly tables: readonly Family[];
  readonly markedElements: ReadonlySet<ElementKey>;
  /** The families for which this kernel has nftables: what our tables do not name there is not ours. */
  readonly supportedFamilies: ReadonlySet<Family>;
}

const readOwnedTables = async ({ nftables }: KernelClients): Promise<OwnedTables> => {
  const tables: Family[] = [];
  const markedElements = new Set<ElementKey>();
  const supportedFamilies = new Set<Family>();
  for (const family of families) {
    if (await ifSupported(() => nftables?.supports(family))) supportedFamilies.add(family);
    const table = await ifSupported(() => nftables?.table(family, tableName));
    if (table === undefined) continue;
    tables.push(family);
    for (const set of table.sets.filter(({ name }) => isPacketClass(name))) {
      const elements = await ifSupported(() => nftables?.elements(family, tableName, set));
      for (const { key } of elements ?? []) markedElements.add(key);
    }
  }
  return { tables, markedElements, supportedFamilies };
};

const readDummy = async ({
  route,
}: KernelClients): Promise<{ readonly dummy: Link | undefined; readonly bound: readonly LinkAddress[] }> => {
  const dummy = await route.link(dummyInterfaceName);
  if (dummy?.kind !== 'dummy') return { dummy, bound: [] };
  const all = await route.addresses();
  return { dummy, bound: all.filter(({ interfaceIndex }) => interfaceIndex === dummy.index) };
};

const readCleanupScope = async (
  clients: KernelClients,
  excludeCidrs: readonly Cidr[],
): Promise<CleanupScope> => {
  const all = await virtualServersInOrder(clients.ipvs);
  const { tables, markedElements, supportedFamilies } = await readOwnedTables(clients);
  const { dummy, bound } = await readDummy(clients);
  const isExcluded = (address: IpAddress): boolean =>
    excludeCidrs.some((cidr) => cidrContains(cidr, address));
  const facts: OwnershipFacts = {
    hasMarker: (identity) => hasOwnershipMarker(identity, (key) => markedElements.has(key)),
    canHaveMarker: (family) => supportedFamilies.has(family),
    isTakingOver: () => false,
    isDesired: () => false,
    adoptForeign: () => false,
    hasDummyAddress: (address) => bound.some((entry) => entry.address === address),
    hasNodeAddress: () => false,
    isExcluded,
  };
  const isOurs = (identity: VirtualServerIdentity): boolean =>
    !(identity.by === 'address' && isExcluded(identity.address)) && ownershipOf(identity, facts) === 'ours';
  const foreign = all.filter((identity) => !isOurs(identity));
  const used = new Set(foreign.map((identity) => (identity.by === 'address' ? identity.address : undefined)));
  // A link-local address is the kernel's, and goes with the device.
  const isKept = ({ address, prefixLength }: LinkAddress): boolean =>
    !isIpv6LinkLocal(address) &&
    (prefixLength !== hostPrefixLength(familyOf(address)) || isExcluded(address) || used.has(address));
  return {
    virtualServers: all.filter(isOurs),
    foreign,
    dummy,
    addresses: bound.filter((entry) => !isKept(entry)),
    keptAddresses: bound.filter(isKept),
    tables,
    rules: (await ifSupported(acceptRules)) ?? [],
  };
};

const tableDescription = (family: Family): string => `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${tableName}`;

const virtualServerRemovals = ({ ipvs }: KernelClients, scope: CleanupScope): readonly Removal[] => {
  const operations = scope.virtualServers.map(
    (server) => ({ kind: 'delete-virtual-server', server }) as const,
  );
  let outcomes: Promise<readonly Outcome[]> | undefined;
  return scope.virtualServers.map((identity, index) => ({
    what: `virtual server ${virtualServerKey(identity)}`,
    // All at once, when the first one is to go.
    remove: async () => failureReason((await (outcomes ??= ipvs?.apply(operations)))?.[index], ['ESRCH']),
  }));
};

const addressRemovals = (
  route: RtnetlinkClient,
  dummy: Link,
  addresses: readonly LinkAddress[],
): readonly Removal[] =>
  addresses
    .filter(({ address }) => !isIpv6LinkLocal(address))
    .map(({ address }) => ({
      what: `address ${formatHostAddress(address)} of ${dummyInterfaceName}`,
      remove: async () => {
        const [outcome] = await route.apply(dummy.index, [{ kind: 'unbind-address', address }]);
        return failureReason(outcome, ['EADDRNOTAVAIL', 'ENODEV']);
      },
    }));

const interfaceRemovals = (
  { route }: KernelClients,
  { dummy, addresses, keptAddresses }: CleanupScope,
): readonly Removal[] => {
  if (dummy === undefined) return [];
  if (dummy.kind !== 'dummy')
    return [
      {
        what: `interface ${dummyInterfaceName}`,
        obstacle: `it is no dummy device (${dummy.kind ?? 'of another kind'}), so kube-ipvs has not made it; if nobody needs it: ip link delete ${dummyInterfaceName}`,
      },
    ];
  if (keptAddresses.length > 0) return addressRemovals(route, dummy, addresses);
  return [
    {
      what: `interface ${dummyInterfaceName} with ${formatCount(addresses.length, 'address')}`,
      remove: async () => failureReason(await route.deleteLink(dummy.index), ['ENODEV']),
    },
  ];
};

const tableRemovals = ({ nftables }: KernelClients, { tables }: CleanupScope): readonly Removal[] =>
  tables.map((family) => ({
    what: tableDescription(family),
    remove: async () => {
      const outcome = await nftables?.transaction([{ kind: 'delete-table', family, name: tableName }]);
      return failureReason(outcome, ['ENOENT']);
    },
  }));

const ruleRemovals = ({ rules }: CleanupScope): readonly Removal[] =>
  rules.map((rule) => ({
    what: `our rule in chain ${rule.chain} of table ${rule.family} ${rule.table}`,
    remove: async () => deleteAcceptRule(rule),
  }));

/** A daemon that runs beside us brings everything back. */
const warnIfDaemonRuns = async (report: RemovalReport): Promise<void> => {
  const { response: daemon } = await queryDaemon(undefined, (client) => client.status()).catch(() => ({
    response: undefined,
  }));
  if (daemon !== undefined)
    report.warn(
      `kube-ipvs runs here (process ${daemon.pid}) and brings back what is removed; stop it first, where it is a DaemonSet by kubectl -n kube-system delete daemonset kube-ipvs`,
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
    await warnIfDaemonRuns(report);
    using clients = await openKernelClients();
    const scope = await readCleanupScope(clients, excludeCidrs);
    const virtualServers = virtualServerRemovals(clients, scope);
    const links = interfaceRemovals(clients, scope);
    const tables = tableRemovals(clients, scope);
    const rules = ruleRemovals(scope);
    if ([...virtualServers, ...links, ...tables, ...rules].length === 0)
      report.note('nothing of kube-ipvs is here');
    const remainingServers = await report.perform(virtualServers);
    const remaining = remainingServers + (await report.perform([...links, ...rules]));
    // The tables are the record of what is ours: they stay as long as something is to be found by them.
    const remainingTables = remainingServers === 0 ? await report.perform(tables) : tables.length;
    if (remainingServers > 0 && remainingTables > 0)
      process.stderr.write(
        'kube-ipvs: kept the packet rules, by which the next cleanup knows the virtual servers that are left\n',
      );
    if (scope.foreign.length > 0)
      report.note(
        `left alone ${formatCount(scope.foreign.length, 'virtual server')} of others: ${serverList(scope.foreign)}`,
      );
    if (scope.keptAddresses.length > 0)
      report.note(
        `left alone ${dummyInterfaceName} with ${formatCount(scope.keptAddresses.length, 'address')} of others: ${scope.keptAddresses
          .map(({ address }) => address)
          .toSorted()
          .join(', ')}`,
      );
    report.end();
    return remaining + remainingTables === 0 ? 0 : 1;
  } catch (error) {
    throw withRemedy(error);
  }
};
