import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silentLogger } from '../../src/base/log.js';
import { ChangeableSettings } from '../../src/daemon/config/live-settings.js';
import { silentRecorder } from '../../src/daemon/events/event-recorder.js';
import { RecentEvents } from '../../src/daemon/events/recent-events.js';
import { createPage } from '../../src/daemon/page/start-page.js';
import { serverFor } from '../../src/daemon/serving/http-response.js';
import { metricsPortHandler } from '../../src/daemon/serving/metrics-port.js';
import { closeServer } from '../../src/daemon/serving/listen.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import type { Statistics } from '../../src/model/virtual-server.js';
import type { Composition } from '../../src/daemon/compose.js';
import { FakeKernel } from './fake-kernel/fake-kernel.js';
import { nodeFacts, notReady, ready, service, slice } from './objects.js';
import { nodeSettings, openProcess } from './production-node.js';

/** Statistics as a kernel with traffic has them: the fake kernel has none. */
const statisticsFor = (index: number, moment: number): Statistics => {
  const wave = 1 + Math.sin(moment / 5 + index);
  const rate = BigInt(index % 7 === 6 ? 0 : Math.round((wave * 240) / (1 + index)));
  return {
    connections: rate * 1_000n,
    inPackets: 0n,
    outPackets: 0n,
    inBytes: 0n,
    outBytes: 0n,
    connectionsPerSecond: rate,
    inPacketsPerSecond: rate * 8n,
    outPacketsPerSecond: rate * 10n,
    inBytesPerSecond: rate * 900n,
    outBytesPerSecond: rate * 14_000n,
  };
};

const names = ['shop/web', 'shop/cart', 'shop/orders', 'kube-system/dns', 'monitoring/grafana', 'media/stream'];

/** Services as a small shop has them; beyond these, `load/svc-0001` and so on. */
export const pageObjects = (count: number): { services: Service[]; slices: EndpointSlice[] } => {
  const services: Service[] = [];
  const slices: EndpointSlice[] = [];
  for (let index = 0; index < count; index += 1) {
    const key = names[index] ?? `load/svc-${String(index).padStart(5, '0')}`;
    const ports = index === 3 ? ['dns:53/UDP', 'dns-tcp:53'] : ['http:80@' + String(30_000 + (index % 2_000))];
    const type = index === 3 || index >= names.length ? 'ClusterIP' : 'NodePort';
    const clusterIP = `10.96.${index >> 8}.${(index & 255) || 255}`;
    services.push(service(key, { clusterIP, type, ports: type === 'ClusterIP' ? ['http:80'] : ports }));
    const endpoints = [1, 2, 3].map((host) => ready(`10.${1 + (index >> 12)}.${(index >> 4) & 255}.${(index & 15) * 4 + host}`));
    slices.push(slice(key, index === 4 ? endpoints.map(({ address }) => notReady(address)) : endpoints));
  }
  return { services, slices };
};

export interface PageNode extends AsyncDisposable {
  readonly url: string;
  readonly server: Server;
  readonly composition: Composition;
  readonly kernel: FakeKernel;
  readonly settings: ChangeableSettings;
  /** How often the counters were read, and how many sockets are open for it. */
  readonly reads: { counters: number; open: number };
}

/** The daemon's composition over a fake kernel with its page, in real time. */
export const startPageNode = async (
  { services, slices }: ReturnType<typeof pageObjects>,
  port = 0,
): Promise<PageNode> => {
  const kernel = new FakeKernel();
  for (const { interfaceName, address, prefixLength } of nodeFacts().addresses)
    kernel.route.addAddress(`${interfaceName} ${address}/${prefixLength}`);
  const settings = new ChangeableSettings(nodeSettings);
  const running = await openProcess(kernel, settings, {});
  const { composition } = running;
  composition.store.replaceAll({
    services: new Map(services.map((one) => [one.key, one])),
    endpointSlices: new Map(slices.map((one) => [one.key, one])),
    node: { name: 'n1', zone: '', addresses: [], podCidrs: [], isBeingRemoved: false },
  });
  await composition.syncLoop.start();
  const reads = { counters: 0, open: 0 };
  const openIpvs = (): ReturnType<NonNullable<Parameters<typeof createPage>[1]>['openIpvs']> => {
    const client = IpvsClient.open(kernel.connect('generic'));
    reads.open += 1;
    return {
      statistics: async () => {
        reads.counters += 1;
        const rows = await client.statistics();
        return rows.map(({ key }, index) => ({ key, statistics: statisticsFor(index, reads.counters) }));
      },
      realServersIncrementally: (identity) => client.realServersIncrementally(identity),
      close: () => {
        reads.open -= 1;
        client.close();
      },
    };
  };
  const page = createPage(
    {
      settings,
      composition,
      source: { name: 'manifests', health: () => ({ delivered: true, lastError: undefined }) },
      recentEvents: new RecentEvents(silentRecorder),
    },
    { openIpvs, tableFile: kernel.ipvs.tableFile },
  );
  const handler = metricsPortHandler({
    metrics: { page: async () => ({ contentType: 'text/plain', chunks: (async function* () {})() }) },
    settings: () => settings.now,
    setVerbosity: () => {},
    page,
  });
  const server = serverFor(handler, silentLogger);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    composition,
    kernel,
    settings,
    reads,
    async [Symbol.asyncDispose](): Promise<void> {
      await closeServer(server);
      await running[Symbol.asyncDispose]();
    },
  };
};
