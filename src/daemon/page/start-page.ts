import { serviceDefaultTexts } from '../../config/resolve-configuration.js';
import type { PageRealServer, PageRealServersResponse } from '../../admin-api/page.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import { procTableFile, type TableFile } from '../../kernel/ipvs/table-file/table-file.js';
import type { ServiceKey } from '../../model/service.js';
import type { RealServerObservation } from '../../model/virtual-server.js';
import type { Source } from '../../watch/source.js';
import { serviceReport } from '../admin/service-report.js';
import { describeVirtualServers } from '../admin/start-admin.js';
import { statusResponse } from '../admin/status-response.js';
import type { Composition } from '../compose.js';
import type { LiveSettings } from '../config/live-settings.js';
import type { RecentEvents } from '../events/recent-events.js';
import type { Handler } from '../serving/http-response.js';
import { DaemonSampler } from './node-sampler.js';
import { pageHandler } from './page-handler.js';
import { PageSampler, type NodeSampler } from './page-sampler.js';

/** The IPVS table, as the page reads it. */
export interface PageKernel {
  readonly openIpvs: () => Pick<IpvsClient, 'statistics' | 'realServersIncrementally' | 'close'>;
  readonly tableFile: TableFile;
}

export interface PageStartParts {
  readonly settings: LiveSettings;
  readonly composition: Omit<Composition, 'syncLoop'>;
  readonly source: Pick<Source, 'name' | 'health'>;
  readonly recentEvents: Pick<RecentEvents, 'of'>;
}

const machineKernel: PageKernel = { openIpvs: () => IpvsClient.open(), tableFile: procTableFile };

const realServerResponse = ({
  key,
  weight,
  activeConnections,
  inactiveConnections,
  statistics,
}: RealServerObservation): PageRealServer => ({
  key,
  weight,
  active: activeConnections,
  inactive: inactiveConnections,
  connectionsPerSecond: Number(statistics?.connectionsPerSecond ?? 0),
  inBytesPerSecond: Number(statistics?.inBytesPerSecond ?? 0),
  outBytesPerSecond: Number(statistics?.outBytesPerSecond ?? 0),
});

/** Reads the real servers of a Service from the kernel: one dump for each of its virtual servers. */
const readRealServers = async (
  service: ServiceKey,
  { desiredStateUpdater }: PageStartParts['composition'],
  { openIpvs }: PageKernel,
): Promise<PageRealServersResponse['virtualServers']> => {
  const servers = [...(desiredStateUpdater.desired.fragment(service)?.virtualServers.values() ?? [])];
  if (servers.length === 0) return {};
  const found: Record<string, readonly PageRealServer[]> = {};
  const client = openIpvs();
  try {
    for (const { server } of servers) {
      const realServers = await client.realServersIncrementally(server.identity);
      found[server.key] = realServers.map(realServerResponse);
    }
  } finally {
    client.close();
  }
  return found;
};

/** The handler of the page. It opens no socket and starts no timer before a page is open. */
export const createPage = (
  { settings, composition, source, recentEvents }: PageStartParts,
  kernel: PageKernel = machineKernel,
): Handler => {
  const { store, desiredStateUpdater, observed, reconciler } = composition;
  const descriptions = describeVirtualServers(composition, settings);
  const openSampler = (): NodeSampler => {
    let ipvs: ReturnType<PageKernel['openIpvs']> | undefined;
    return new DaemonSampler({
      desired: desiredStateUpdater.desired,
      observed,
      drains: reconciler.drains,
      descriptions,
      status: () => statusResponse({ composition, settings, source, descriptions }),
      statistics: async () => (ipvs ??= kernel.openIpvs()).statistics(),
      tableFile: kernel.tableFile,
      close: () => ipvs?.close(),
    });
  };
  const reportParts = {
    store,
    desiredStateUpdater,
    observed,
    reconciler,
    descriptions,
    events: recentEvents,
    serviceDefaults: () => serviceDefaultTexts(settings.now.kubeIpvs),
  };
  return pageHandler({
    sampler: new PageSampler(openSampler),
    serviceReport: (service) => serviceReport(service, reportParts),
    realServers: (service) => readRealServers(service, composition, kernel),
  });
};
