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

const names = [
  'shop/web',
  'shop/cart',
  'shop/orders',
  'kube-system/dns',
  'monitoring/grafana',
  'media/stream',
];

const portsOf = (index: number): readonly string[] =>
  index === 3 ? ['dns:53/UDP', 'dns-tcp:53'] : ['http:8080'];

const pageService = (index: number): Service =>
  service(names[index] ?? `load/svc-${String(index).padStart(5, '0')}`, {
    clusterIP: `10.96.${Math.floor(index / 250)}.${(index % 250) + 1}`,
    ports: portsOf(index),
    ...(index === 0 ? { type: 'LoadBalancer', ingress: [{ ip: '192.0.2.80' }] } : {}),
    // Two Services ask for the same address and port.
    ...(index === 1 || index === 5 ? { externalIPs: ['192.0.2.7'] } : {}),
    createdAt: `2024-01-01T00:00:0${index % 10}Z`,
  });

const pageSlice = ({ key }: Service, index: number): EndpointSlice => {
  const network = `10.${1 + (index >> 12)}.${(index >> 4) & 255}`;
  const endpoints = [1, 2, 3].map((host) => {
    const pod = `${key.split('/')[1]}-7d9c-${host}`;
    return (index === 4 ? notReady : ready)(`${network}.${(index & 15) * 4 + host}`, { pod });
  });
  return slice(key, endpoints, { ports: portsOf(index) });
};

/** Services as a small shop has them; beyond these, `load/svc-00006` and so on. */
export const pageObjects = (count: number): { services: Service[]; slices: EndpointSlice[] } => {
  const services = Array.from({ length: count }, (_, index) => pageService(index));
  return { services, slices: services.map(pageSlice) };
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

/** The first endpoint of a Service goes away. */
export const loseEndpoint = ({ composition }: PageNode, { key, endpoints, ...rest }: EndpointSlice): void =>
  composition.store.apply([
    { kind: 'endpointSlice', key, value: { ...rest, key, endpoints: endpoints.slice(1) } },
  ]);

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
  // Every real server has connections: a removed one drains.
  kernel.ipvs.busy = true;
  const reads = { counters: 0, open: 0 };
  const openIpvs = (): ReturnType<NonNullable<Parameters<typeof createPage>[1]>['openIpvs']> => {
    const client = IpvsClient.open(kernel.connect('generic'));
    reads.open += 1;
    return {
      statistics: async () => {
        reads.counters += 1;
        // The fake kernel's dump of a large table takes seconds.
        return [...composition.observed.virtualServerKeys()].map((key, index) => ({
          key,
          statistics: statisticsFor(index, reads.counters),
        }));
      },
      realServersIncrementally: async (identity) => {
        const servers = await client.realServersIncrementally(identity);
        return servers.map((server, index) => ({
          ...server,
          statistics: statisticsFor(index, reads.counters),
        }));
      },
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
    { openIpvs, tableFile: kernel.ipvs.tableSnapshot },
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
