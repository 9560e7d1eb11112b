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
import { advise } from '../../doctor/remedy.js';
import { acceptRules, deleteAcceptRule } from '../../kernel/nftables/foreign/accept-rules.js';
import type { RuleId } from '../../kernel/nftables/object-ids.js';
import type { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import type { Link, LinkAddress } from '../../kernel/rtnetlink/convert.js';
import type { ElementKey } from '../../nftables/declarations.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { addressOfServer, virtualServerKey, type VirtualServerIdentity } from '../../model/virtual-server.js';
import type { AddressOperation, Outcome } from '../../model/operation.js';
import type { VipBinding } from '../../model/settings/vip-binding.js';
import { ownershipOf, type OwnershipFacts } from '../../plan/ownership/ownership.js';
import { hasOwnershipMarker } from '../../plan/packet-rules/packet-elements.js';
import { isOwnershipMarkerSet } from '../../plan/packet-rules/packet-sets.js';
import { formatHostAddress } from '../../plan/output/ipvs-table-formats.js';
import { syncDaemonRemovals } from './sync-daemons.js';
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
  /** Virtual servers and addresses in these networks are kept. */
  readonly excludeCidrs: readonly Cidr[];
  /** The instance that is removed. */
  readonly names: InstanceNames;
  /** Print what would be removed, and remove nothing. */
  readonly dryRun: boolean;
}

/** The objects of kube-ipvs, and those of other programs beside them. */
interface CleanupScope {
  readonly names: InstanceNames;
  readonly virtualServers: readonly VirtualServerIdentity[];
  readonly foreign: readonly VirtualServerIdentity[];
  readonly dummy: Link | undefined;
  /** Of its interface, those to remove. */
  readonly addresses: readonly LinkAddress[];
  /** Of its interface, those that other programs added or whose virtual servers other programs created: the interface stays for them. */
  readonly keptAddresses: readonly LinkAddress[];
  /** VIPs with a local route of kube-ipvs, without those whose virtual servers other programs created. */
  readonly routes: readonly IpAddress[];
  /** The others. */
  readonly keptRoutes: readonly IpAddress[];
  readonly tables: readonly Family[];
  readonly rules: readonly RuleId[];
}

interface OwnedTables {
  readonly tables: readonly Family[];
  readonly markedElements: ReadonlySet<ElementKey>;
  /** Families for which this kernel has nftables: virtual servers of these without a marker are of other programs. */
  readonly supportedFamilies: ReadonlySet<Family>;
}

const readOwnedTables = async (
  { nftables }: KernelClients,
  { table: name }: InstanceNames,
): Promise<OwnedTables> => {
  const tables: Family[] = [];
  const markedElements = new Set<ElementKey>();
  const supportedFamilies = new Set<Family>();
  for (const family of families) {
    if (await ifSupported(() => nftables?.supports(family))) supportedFamilies.add(family);
    const table = await ifSupported(() => nftables?.table(family, name));
    if (table === undefined) continue;
    tables.push(family);
    for (const set of table.sets.filter(({ name }) => isOwnershipMarkerSet(name))) {
      const elements = await ifSupported(() => nftables?.elements(family, name, set));
      for (const { key } of elements ?? []) markedElements.add(key);
    }
  }
  return { tables, markedElements, supportedFamilies };
};

const readDummy = async (
  { route }: KernelClients,
  { dummyInterface }: InstanceNames,
): Promise<{ readonly dummy: Link | undefined; readonly bound: readonly LinkAddress[] }> => {
  const dummy = await route.link(dummyInterface);
  if (dummy?.kind !== 'dummy') return { dummy, bound: [] };
  const all = await route.addresses();
  return { dummy, bound: all.filter(({ interfaceIndex }) => interfaceIndex === dummy.index) };
};

/** No object defines Services any more: the markers and the VIPs that are bound show what is ours. */
const ownershipFacts = (
  { markedElements, supportedFamilies }: OwnedTables,
  boundVips: ReadonlySet<IpAddress>,
  isExcluded: OwnershipFacts['isExcluded'],
): OwnershipFacts => ({
  hasMarker: (identity) => hasOwnershipMarker(identity, (key) => markedElements.has(key)),
  canHaveMarker: (family) => supportedFamilies.has(family),
  isTakingOver: () => false,
  isDesired: () => false,
  adoptForeign: () => false,
  isBoundVip: (address) => boundVips.has(address),
  hasNodeAddress: () => false,
  isExcluded,
});

const readCleanupScope = async (
  clients: KernelClients,
  { names, excludeCidrs }: Pick<CleanupOptions, 'names' | 'excludeCidrs'>,
): Promise<CleanupScope> => {
  const all = await virtualServersInOrder(clients.ipvs);
  const owned = await readOwnedTables(clients, names);
  const { dummy, bound } = await readDummy(clients, names);
  const routes = await clients.route.vipRoutes();
  const isExcluded = (address: IpAddress): boolean =>
    excludeCidrs.some((cidr) => cidrContains(cidr, address));
  const boundVips = new Set([...bound.map(({ address }) => address), ...routes]);
  const facts = ownershipFacts(owned, boundVips, isExcluded);
  const isOurs = (identity: VirtualServerIdentity): boolean =>
    !(identity.by === 'address' && isExcluded(identity.address)) && ownershipOf(identity, facts) === 'ours';
  const foreign = all.filter((identity) => !isOurs(identity));
  const used = new Set(foreign.map(addressOfServer));
  const isKeptVip = (address: IpAddress): boolean => isExcluded(address) || used.has(address);
  // The kernel adds the link-local address and removes it with the interface.
  const isKept = ({ address, prefixLength }: LinkAddress): boolean =>
    !isIpv6LinkLocal(address) && (prefixLength !== hostPrefixLength(familyOf(address)) || isKeptVip(address));
  return {
    names,
    virtualServers: all.filter(isOurs),
    foreign,
    dummy,
    addresses: bound.filter((entry) => !isKept(entry)),
    keptAddresses: bound.filter(isKept),
    routes: routes.filter((address) => !isKeptVip(address)),
    keptRoutes: routes.filter(isKeptVip),
    tables: owned.tables,
    rules: (await ifSupported(() => acceptRules(names.table))) ?? [],
  };
};

const tableDescription = (family: Family, table: string): string =>
  `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${table}`;

const virtualServerRemovals = ({ ipvs }: KernelClients, scope: CleanupScope): readonly Removal[] => {
  const operations = scope.virtualServers.map(
    (server) => ({ kind: 'delete-virtual-server', server }) as const,
  );
  let outcomes: Promise<readonly Outcome[]> | undefined;
  return scope.virtualServers.map((identity, index) => ({
    what: `virtual server ${virtualServerKey(identity)}`,
    // All in one transaction, with the first removal.
    remove: async () => failureReason((await (outcomes ??= ipvs?.apply(operations)))?.[index], ['ESRCH']),
  }));
};

const unbind = (address: IpAddress, binding: VipBinding): AddressOperation => ({
  kind: 'unbind-address',
  address,
  binding,
});

/** Local routes need none. */
const noInterface = 0;

const routeRemovals = ({ route }: KernelClients, { routes }: CleanupScope): readonly Removal[] => {
  if (routes.length === 0) return [];
  return [
    {
      what: formatCount(routes.length, 'local route'),
      remove: async () => {
        const outcomes = await route.apply(
          noInterface,
          routes.map((address) => unbind(address, 'route')),
        );
        return outcomes
          .map((outcome) => failureReason(outcome, ['ESRCH']))
          .find((reason) => reason !== undefined);
      },
    },
  ];
};

const addressRemovals = (
  route: RtnetlinkClient,
  dummy: Link,
  addresses: readonly LinkAddress[],
): readonly Removal[] =>
  addresses
    .filter(({ address }) => !isIpv6LinkLocal(address))
    .map(({ address }) => ({
      what: `address ${formatHostAddress(address)} of ${dummy.name}`,
      remove: async () => {
        const [outcome] = await route.apply(dummy.index, [unbind(address, 'address')]);
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
        what: `interface ${dummy.name}`,
        obstacle: `it is not a dummy device (kind ${dummy.kind ?? 'unknown'}): kube-ipvs did not create it.`,
        remedy: advise('If no program needs it, delete it.', `ip link delete ${dummy.name}`),
      },
    ];
  if (keptAddresses.length > 0) return addressRemovals(route, dummy, addresses);
  return [
    {
      what: `interface ${dummy.name} with ${formatCount(addresses.length, 'address')}`,
      remove: async () => failureReason(await route.deleteLink(dummy.index), ['ENODEV']),
    },
  ];
};

const tableRemovals = ({ nftables }: KernelClients, { names, tables }: CleanupScope): readonly Removal[] =>
  tables.map((family) => ({
    what: tableDescription(family, names.table),
    remove: async () => {
      const outcome = await nftables?.transaction([{ kind: 'delete-table', family, name: names.table }]);
      return failureReason(outcome, ['ENOENT']);
    },
  }));

const ruleRemovals = ({ rules }: CleanupScope): readonly Removal[] =>
  rules.map((rule) => ({
    what: `rule of kube-ipvs in chain ${rule.chain} of table ${rule.family} ${rule.table}`,
    remove: async () => deleteAcceptRule(rule),
  }));

/** A running daemon restores everything. */
const warnIfDaemonRuns = async (
  report: RemovalReport,
  { serviceProxyName }: InstanceNames,
): Promise<void> => {
  const { response: daemon } = await queryDaemon({ serviceProxyName }, (client) => client.status()).catch(
    () => ({
      response: undefined,
    }),
  );
  if (daemon !== undefined)
    report.warn(
      `kube-ipvs runs on this node (process ${daemon.pid}) and restores what is removed. Stop it first. If it is a DaemonSet: kubectl -n kube-system delete daemonset kube-ipvs`,
    );
};

const addressList = (addresses: readonly IpAddress[]): string => addresses.toSorted().join(', ');

const noteKept = (
  report: RemovalReport,
  { names, foreign, keptAddresses, keptRoutes }: CleanupScope,
): void => {
  if (foreign.length > 0)
    report.note(
      `kept ${formatCount(foreign.length, 'virtual server')} of other programs: ${serverList(foreign)}`,
    );
  if (keptAddresses.length > 0)
    report.note(
      `kept ${names.dummyInterface} with ${formatCount(keptAddresses.length, 'address')} of other programs: ${addressList(keptAddresses.map(({ address }) => address))}`,
    );
  if (keptRoutes.length > 0)
    report.note(
      `kept ${formatCount(keptRoutes.length, 'local route')} to addresses of other programs: ${addressList(keptRoutes)}`,
    );
};

/**
 * Removes what kube-ipvs created: its virtual servers, then its synchronization of connections, its local routes, its interface with its addresses and its rules in chains of
 * other programs, then its packet rules, which record what it created. Resolves to the number of objects that remain; the report
 * has them. Rejects with KernelAccessError without the permission to read.
 */
export const removeKubeIpvs = async (
  report: RemovalReport,
  options: Pick<CleanupOptions, 'names' | 'excludeCidrs'>,
): Promise<number> => {
  try {
    using clients = await openKernelClients(options.names);
    const scope = await readCleanupScope(clients, options);
    const virtualServers = virtualServerRemovals(clients, scope);
    const links = [...routeRemovals(clients, scope), ...interfaceRemovals(clients, scope)];
    const tables = tableRemovals(clients, scope);
    const rules = ruleRemovals(scope);
    const daemons = await syncDaemonRemovals(clients.ipvs, options.names);
    if ([...virtualServers, ...links, ...tables, ...rules, ...daemons].length === 0)
      report.note('kube-ipvs left nothing on this node');
    const remainingServers = await report.perform(virtualServers);
    const remaining = remainingServers + (await report.perform([...daemons, ...links, ...rules]));
    // The tables record which virtual servers kube-ipvs created: they stay until all of these are removed.
    const remainingTables = remainingServers === 0 ? await report.perform(tables) : tables.length;
    if (remainingServers > 0 && remainingTables > 0)
      process.stderr.write(
        'kube-ipvs: kept the packet rules: the next cleanup needs them to find the remaining virtual servers\n',
      );
    noteKept(report, scope);
    return remaining + remainingTables;
  } catch (error) {
    throw withRemedy(error);
  }
};

/** `cleanup`. 0: nothing is left; 1: something is, reported on standard error. */
export const cleanup = async (options: CleanupOptions, output: CleanupFormat = 'text'): Promise<number> => {
  const report = new RemovalReport(options.dryRun, output);
  await warnIfDaemonRuns(report, options.names);
  const remaining = await removeKubeIpvs(report, options);
  report.end();
  return remaining === 0 ? 0 : 1;
};
