import { setTimeout as delay } from 'node:timers/promises';
import { families, type Cidr } from '../../base/ip.js';
import { daemonFacts } from '../../doctor/collect/daemon.js';
import { programs } from '../../doctor/collect/proc.js';
import { modeInKernel } from '../../doctor/migration/collect-migration.js';
import type { Family } from '../../base/ip.js';
import { acceptRules, deleteAcceptRule } from '../../kernel/nftables/foreign/accept-rules.js';
import { defaultInstance } from '../../model/instance-names.js';
import { queryDaemon } from '../admin/admin-client.js';
import { removeKubeIpvs } from '../cleanup/cleanup.js';
import { removeKubeProxy } from '../cleanup/kube-proxy-cleanup.js';
import { failureReason, ifSupported, RemovalReport, type Removal } from '../cleanup/removal.js';
import { openKernelClients, type KernelClients } from '../kernel/kernel-clients.js';
import { bypassChains } from '../../plan/packet-rules/packet-table.js';
import type { MigrationNode, RemovalOutcome } from './migration.js';
import type { NodeState } from './node-state.js';
import { StepFailedError } from './wait-for.js';

/** A migration is about the instance that takes the place of kube-proxy. */
const { table: tableName } = defaultInstance;

export interface LiveNodeOptions {
  readonly adminSocket: string | undefined;
  readonly healthzBindAddress: string;
  readonly excludeCidrs: readonly Cidr[];
}

const pidsOf = (wanted: string): readonly number[] =>
  programs()
    .filter(({ name }) => name === wanted)
    .map(({ pid }) => pid);

const healthOf = async (healthzBindAddress: string): Promise<NodeState['health']> => {
  if (healthzBindAddress === '') return 'off';
  const { status } = await daemonFacts(healthzBindAddress);
  if (status === 0) return 'closed';
  return status === 200 ? 'healthy' : 'unhealthy';
};

const readState = async ({ adminSocket, healthzBindAddress }: LiveNodeOptions): Promise<NodeState> => {
  const { response } = await queryDaemon({ adminSocket, serviceProxyName: '' }, (client) => client.status());
  return {
    kubeIpvs:
      response === undefined
        ? undefined
        : {
            pid: response.pid,
            synced: response.synced && response.healthy,
            trouble: response.source.trouble,
          },
    kubeIpvsProcesses: pidsOf('kube-ipvs'),
    kubeProxyProcesses: pidsOf('kube-proxy'),
    health: await healthOf(healthzBindAddress),
    kubeProxyRules: await modeInKernel(),
  };
};

const removal = async (remove: (report: RemovalReport) => Promise<number>): Promise<RemovalOutcome> => {
  // The report prints on standard error only what it cannot remove.
  const report = new RemovalReport(false, 'json');
  const remaining = await remove(report);
  return { removed: report.removed.length, remaining };
};

/** The families of which the kernel has our table. */
const ownTables = async ({ nftables }: KernelClients): Promise<readonly Family[]> => {
  const found: Family[] = [];
  for (const family of families)
    if ((await ifSupported(() => nftables?.table(family, tableName))) !== undefined) found.push(family);
  return found;
};

const packetRules = async (clients: KernelClients): Promise<readonly Removal[]> => [
  ...(await ownTables(clients)).map((family) => ({
    what: `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${tableName}`,
    remove: async () =>
      failureReason(
        await clients.nftables?.transaction([{ kind: 'delete-table', family, name: tableName }]),
        ['ENOENT'],
      ),
  })),
  ...((await ifSupported(() => acceptRules(tableName))) ?? []).map((rule) => ({
    what: `rule of kube-ipvs in chain ${rule.chain} of table ${rule.family} ${rule.table}`,
    remove: async () => deleteAcceptRule(rule),
  })),
];

const releaseConnections = async (): Promise<void> => {
  using clients = await openKernelClients(defaultInstance);
  for (const family of await ownTables(clients)) {
    const outcome = await clients.nftables?.transaction(
      Object.values(bypassChains).map((chain) => ({
        kind: 'flush-chain',
        chain: { family: family === 'IPv4' ? 'ip' : 'ip6', table: tableName, chain },
      })),
    );
    const reason = failureReason(outcome, []);
    if (reason !== undefined)
      throw new StepFailedError(`the packet rules of kube-ipvs still take new connections: ${reason}`);
  }
};

const activeConnections = async (): Promise<number> => {
  using clients = await openKernelClients(defaultInstance);
  let active = 0;
  for (const { identity } of (await clients.ipvs?.virtualServers()) ?? [])
    for (const real of (await clients.ipvs?.realServers(identity)) ?? []) active += real.activeConnections;
  return active;
};

/** This machine. */
export const liveNode = (options: LiveNodeOptions): Omit<MigrationNode, 'failedChecks' | 'proxySwitch'> => ({
  state: () => readState(options),
  removeKubeProxy: () => removal((report) => removeKubeProxy(report, options.excludeCidrs)),
  removePacketRules: () =>
    removal(async (report) => {
      using clients = await openKernelClients(defaultInstance);
      return await report.perform(await packetRules(clients));
    }),
  releaseConnections,
  activeConnections,
  removeKubeIpvs: () =>
    removal((report) =>
      removeKubeIpvs(report, { names: defaultInstance, excludeCidrs: options.excludeCidrs }),
    ),
  delay: async (milliseconds, signal) => {
    await delay(milliseconds, undefined, { signal });
  },
});
