import { setTimeout as delay } from 'node:timers/promises';
import { families, type Cidr, type Family } from '../../base/ip.js';
import { codeOf, messageOf } from '../../base/errors.js';
import { formatCount } from '../../base/text.js';
import { runOnNode } from '../../doctor/remedy.js';
import { IpsetClient } from '../../kernel/ipset/client.js';
import { deleteForeignChains, foreignChains } from '../../kernel/nftables/foreign/foreign-chains.js';
import { legacyTables, type LegacyTable } from '../../kernel/xtables/legacy-tables.js';
import {
  kubeProxyChain,
  kubeProxyRuleLine,
  kubeProxySet,
  kubeProxyTable,
} from '../../model/kube-proxy-names.js';
import { defaultInstance } from '../../model/instance-names.js';
import { virtualServerKey } from '../../model/virtual-server.js';
import { queryDaemon } from '../admin/admin-client.js';
import { openKernelClients, type KernelClients } from '../kernel/kernel-clients.js';
import { readKubeProxyServers, type KubeProxyServers } from './kube-proxy-servers.js';
import { withRemedy } from '../kernel/read-kernel.js';
import {
  serverList,
  listOrObstacle,
  failureReason,
  RemovalReport,
  ifSupported,
  type CleanupFormat,
  type Removal,
} from './removal.js';

export interface KubeProxyCleanupOptions {
  /** Virtual servers in these networks are kept. */
  readonly excludeCidrs: readonly Cidr[];
  readonly dryRun: boolean;
  readonly output: CleanupFormat;
}

/** Whether kube-ipvs runs on this node or left its tables: then the virtual servers and kube-ipvs0 are its own. */
const isManagedByKubeIpvs = async ({ nftables }: KernelClients): Promise<boolean> => {
  if ((await queryDaemon({}, (daemon) => daemon.status())).response !== undefined) return true;
  const tables = families.map((family) => ifSupported(() => nftables?.table(family, defaultInstance.table)));
  return (await Promise.all(tables)).some((table) => table !== undefined);
};

const ipvsRemovals = (
  { ipvs, route }: KernelClients,
  { virtualServers, dummy }: KubeProxyServers,
): readonly Removal[] => [
  ...virtualServers.map((server) => ({
    what: `virtual server ${virtualServerKey(server)}`,
    remove: async () => {
      const outcomes = await ipvs?.apply([{ kind: 'delete-virtual-server', server }]);
      return failureReason(outcomes?.[0], ['ESRCH']);
    },
  })),
  ...(dummy === undefined
    ? []
    : [
        {
          what: `interface ${defaultInstance.dummyInterface} with ${formatCount(dummy.addresses, 'address')}`,
          remove: async () => failureReason(await route.deleteLink(dummy.index), ['ENODEV']),
        },
      ]),
];

const isKubeProxyChain = (chain: string): boolean => kubeProxyChain.test(chain);

const ruleRemovals = async (): Promise<readonly Removal[]> =>
  ((await ifSupported(() => foreignChains(isKubeProxyChain))) ?? []).map((chainTable) => ({
    what:
      `${formatCount(chainTable.chains.length, 'chain')} KUBE-* and ${formatCount(chainTable.jumps.length, 'jump')} to them ` +
      `in table ${chainTable.family} ${chainTable.table}`,
    remove: async () => deleteForeignChains(chainTable, isKubeProxyChain),
  }));

const tableRemovals = async ({ nftables }: KernelClients): Promise<readonly Removal[]> => {
  const found: Family[] = [];
  for (const family of families)
    if ((await ifSupported(() => nftables?.table(family, kubeProxyTable))) !== undefined) found.push(family);
  return found.map((family) => ({
    what: `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${kubeProxyTable}`,
    remove: async () => {
      const outcome = await nftables?.transaction([{ kind: 'delete-table', family, name: kubeProxyTable }]);
      return failureReason(outcome, ['ENOENT']);
    },
  }));
};

/** The kernel releases a set some time after the last rule that used it was deleted. */
const destroyRetry = { attempts: 20, milliseconds: 50 } as const;

const destroySet = async (name: string): Promise<string | undefined> => {
  using ipset = IpsetClient.open();
  let reason = ipset.destroy(name);
  for (let attempt = 1; reason !== undefined && attempt < destroyRetry.attempts; attempt += 1) {
    await delay(destroyRetry.milliseconds);
    reason = ipset.destroy(name);
  }
  return reason;
};

const setRemovals = async (): Promise<readonly Removal[]> => {
  const names = await ifSupported(() => {
    using ipset = IpsetClient.open();
    return ipset.names();
  });
  return (names ?? [])
    .filter((name) => kubeProxySet.test(name))
    .toSorted()
    .map((name) => ({ what: `ipset ${name}`, remove: () => destroySet(name) }));
};

/**
 * iptables-legacy replaces whole tables and does not detect that another program changed the table meanwhile. Only the iptables
 * program holds the lock against that: the remedy is its command.
 */
const legacyRemovalsIn = (tables: readonly LegacyTable[]): readonly Removal[] =>
  tables
    .map(({ family, table, chains }) => ({
      program: family === 'ip' ? 'iptables-legacy' : 'ip6tables-legacy',
      table,
      chains: chains.filter((chain) => kubeProxyChain.test(chain)).length,
    }))
    .filter(({ chains }) => chains > 0)
    .map(({ program, table, chains }) => {
      const command = `${program}-save -c -t ${table} | grep -vE '${kubeProxyRuleLine}' | ${program}-restore -c -T ${table}`;
      return {
        what: `${formatCount(chains, 'chain')} KUBE-* in table ${table} of ${program}`,
        obstacle: `only ${program} can remove it.`,
        remedy: runOnNode(command),
      };
    });

/** Where the user may not read the tables, the remedy is the command that does. */
const legacyRemovals = (): readonly Removal[] => {
  try {
    return legacyRemovalsIn(legacyTables());
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
    const command = `iptables-legacy-save | grep -E '${kubeProxyRuleLine}'`;
    return [
      {
        what: 'rules of iptables-legacy',
        obstacle: `cannot read its tables: ${messageOf(error)}.`,
        remedy: runOnNode(command),
      },
    ];
  }
};

const reportServers = (report: RemovalReport, { assumed, foreign, dummy }: KubeProxyServers): void => {
  if (assumed.length > 0)
    report.note(
      `assumed to be node ports of kube-proxy, because its ipsets no longer exist: ${serverList(assumed)}`,
    );
  if (foreign.length > 0 && dummy !== undefined)
    report.note(
      `kept ${formatCount(foreign.length, 'virtual server')} of other programs: ${serverList(foreign)}`,
    );
};

/**
 * Removes what kube-proxy left in any of its modes: virtual servers and kube-ipvs0 unless kube-ipvs owns them, its chains in the
 * tables of iptables-nft with the jumps to them, its nftables tables and its ipsets. Resolves to the number of objects that remain;
 * the report has them. Rejects with KernelAccessError without the permission to read.
 */
export const removeKubeProxy = async (
  report: RemovalReport,
  excludeCidrs: readonly Cidr[],
): Promise<number> => {
  try {
    using clients = await openKernelClients(defaultInstance);
    const isManaged = await isManagedByKubeIpvs(clients);
    const servers = isManaged
      ? undefined
      : await listOrObstacle(`virtual servers and ${defaultInstance.dummyInterface}`, () =>
          readKubeProxyServers(clients, excludeCidrs),
        );
    const legacy = legacyRemovals();
    const removals = [
      await listOrObstacle('chains KUBE-* of iptables-nft', ruleRemovals),
      await listOrObstacle(`tables ${kubeProxyTable}`, () => tableRemovals(clients)),
      servers === undefined || 'obstacle' in servers ? (servers ?? []) : ipvsRemovals(clients, servers),
      await listOrObstacle('ipsets KUBE-*', setRemovals),
    ].flat();
    if (removals.length + legacy.length === 0) report.note('kube-proxy left nothing on this node');
    // Rules of iptables-legacy may use ipsets: the cause is reported before the effect.
    const remaining = (await report.perform(legacy)) + (await report.perform(removals));
    if (servers === undefined)
      report.note(
        `kept the virtual servers and ${defaultInstance.dummyInterface}: they belong to kube-ipvs (kube-ipvs cleanup removes them)`,
      );
    else if (!('obstacle' in servers)) reportServers(report, servers);
    return remaining;
  } catch (error) {
    throw withRemedy(error);
  }
};

/** `cleanup --kube-proxy`. 0: nothing is left; 1: something is, reported on standard error. */
export const cleanupKubeProxy = async (options: KubeProxyCleanupOptions): Promise<number> => {
  const { excludeCidrs, dryRun, output } = options;
  const report = new RemovalReport(dryRun, output);
  const remaining = await removeKubeProxy(report, excludeCidrs);
  report.end();
  return remaining === 0 ? 0 : 1;
};
