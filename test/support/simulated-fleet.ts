import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceReportResponse, StatusResponse } from '../../src/admin-api/responses.js';
import type { ServiceAnswer } from '../../src/fleet/service-answer.js';
import { status as statusFact } from './doctor-facts.js';
import type { ExecHandler, ExecRequest, ExecResult } from './api-exec.js';
import type { ApiObject } from './api-objects.js';
import { ApiServer, type ApiServerOptions } from './api-server.js';
import { kubeconfigFor } from './kubeconfig.js';
import { ready, serviceObject, sliceObject } from './objects.js';

/** The Service that all simulated nodes serve, and its endpoints. */
export const simulatedService = 'shop/web';
export const simulatedBackends = ['10.244.0.11:8080', '10.244.0.12:8080', '10.244.0.13:8080'];

/** What a simulated node has of the Service. */
export interface SimulatedState {
  /** The endpoints that its daemon knows, and the real servers in its kernel with their weights. */
  readonly known?: readonly string[];
  readonly kernel?: Readonly<Record<string, number>>;
  readonly scheduler?: string;
  /** Real servers that drain. */
  readonly draining?: readonly string[];
  readonly nodeAddress?: string;
}

const weighted = (keys: readonly string[]): Readonly<Record<string, number>> =>
  Object.fromEntries(keys.map((key) => [key, 1]));

const tableOf = (servers: Readonly<Record<string, number>>, scheduler: string) => ({
  scheduler,
  realServers: Object.fromEntries(
    Object.entries(servers).map(([key, weight]) => [key, { weight, forwarding: 'masquerade' as const }]),
  ),
});

/** The report of `explain -o json` of a node in this state: a ClusterIP and a node port. */
export const explainAnswer = (state: SimulatedState = {}): ServiceAnswer => {
  const { known = simulatedBackends, scheduler = 'rr', draining = [], nodeAddress = '192.0.2.1' } = state;
  const kernel = state.kernel ?? weighted(known);
  const keys = ['TCP 10.96.10.10:80', `TCP ${nodeAddress}:30080`];
  const served = (key: string, frontend: 'ClusterIP' | 'NodePort') => ({
    key,
    service: simulatedService,
    port: { name: 'http', port: 80 },
    frontend,
    policy: 'Cluster' as const,
    wanted: tableOf(weighted(known), scheduler),
    kernel: tableOf(kernel, scheduler),
    packetClass: 'cluster-ip',
    realServers: Object.fromEntries([
      ...known.map((one, index) => [one, { pod: `shop/web-${index + 1}`, state: 'ready' as const }]),
      ...draining.map((one) => [one, { state: 'draining' as const }]),
    ]),
  });
  const [vip = '', nodePort = ''] = keys;
  const service: ServiceReportResponse = {
    version: 1,
    service: {
      name: simulatedService,
      type: 'NodePort',
      createdAt: '2026-11-23T10:00:00.000Z',
      clusterIps: ['10.96.10.10'],
      externalIps: [],
      loadBalancerIps: [],
      loadBalancerSourceRanges: [],
      ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }],
      internalTrafficPolicy: 'Cluster',
      externalTrafficPolicy: 'Cluster',
    },
    node: { name: 'node' },
    slices: ['shop/web-slice'],
    endpoints: known.map((realServer) => ({
      realServer,
      port: 'http',
      protocol: 'TCP',
      ready: true,
      serving: true,
      terminating: false,
      cluster: { used: true, reason: 'ready' },
      local: { used: false, reason: 'on-another-node' },
    })),
    endpointCount: known.length,
    virtualServers: [served(vip, 'ClusterIP'), served(nodePort, 'NodePort')],
    lingering: {},
    addresses: [{ address: '10.96.10.10', bound: true }],
    elements: [],
    problems: [],
    events: [],
    refused: [],
  };
  return {
    subject: simulatedService,
    verdict: { mark: 'ok', text: 'all is well' },
    service,
    kernel: { virtualServers: Object.fromEntries(keys.map((key) => [key, tableOf(kernel, scheduler)])) },
  };
};

export const statusAnswer = (node: string, changes: Partial<StatusResponse> = {}): StatusResponse => {
  const fact = statusFact({ node, ...changes });
  if (!('value' in fact) || fact.value === undefined) throw new Error('no status');
  return fact.value;
};

const json = (value: object): ExecResult => ({ stdout: `${JSON.stringify(value)}\n` });

const dumpAnswer = (state: SimulatedState): object => ({
  virtualServers: Object.fromEntries(
    (explainAnswer(state).service?.virtualServers ?? []).map(({ key, frontend, service, port }) => [
      key,
      {
        service,
        port,
        frontend,
        ...explainAnswer(state).kernel?.virtualServers[key],
      },
    ]),
  ),
});

const trafficAnswer = (): object => ({
  by: 'service',
  rows: [
    {
      name: simulatedService,
      note: '2 virtual',
      isDraining: false,
      connectionsPerSecond: 2,
      activeConnections: 3,
      inactiveConnections: 0,
      inPacketsPerSecond: 10,
      outPacketsPerSecond: 10,
      inBytesPerSecond: 100,
      outBytesPerSecond: 200,
    },
  ],
});

/** What the commands of kube-ipvs on a node answer. */
const answerOf = ({ command, write, signal }: ExecRequest, node: string, state: SimulatedState) => {
  switch (command[1] ?? '') {
    case 'status':
      return json(statusAnswer(node));
    case 'explain':
      return command.includes('json')
        ? json({ version: 1, target: command[2], stories: [explainAnswer(state)] })
        : { stdout: `the story of ${node}\n` };
    case 'diff':
      return json({ equal: true, summary: {}, operations: [], contested: [] });
    case 'dump':
      return json(dumpAnswer(state));
    case 'doctor':
      return json({ checks: [], summary: {} });
    case 'top':
      write(`${JSON.stringify(trafficAnswer())}\n`);
      return new Promise<ExecResult>((resolve) => {
        signal.addEventListener('abort', () => resolve({}));
      });
    default:
      return { stderr: `kube-ipvs: unknown command '${command[1]}'\n`, exitCode: 2 };
  }
};

export interface SimulatedFleetOptions extends ApiServerOptions {
  /** States that differ from the default. */
  readonly states?: Readonly<Record<string, SimulatedState>>;
  /** How long each command takes. */
  readonly delay?: () => Promise<unknown>;
  /** What a node answers in place of the simulation; undefined: the simulation. */
  readonly override?: (node: string, request: ExecRequest) => ExecResult | Promise<ExecResult> | undefined;
}

const podOf = (node: string): ApiObject => ({
  kind: 'Pod',
  metadata: { name: `kube-ipvs-${node}`, namespace: 'kube-system', labels: { 'k8s-app': 'kube-ipvs' } },
  spec: { nodeName: node },
  status: { phase: 'Running', containerStatuses: [{ name: 'kube-ipvs', state: { running: {} } }] },
});

/** A cluster whose nodes answer the commands of `kube-ipvs fleet` behind the test API server, without kernels. */
export class SimulatedFleet implements AsyncDisposable {
  /** Commands that were run, with the node. */
  readonly commands: (readonly [node: string, command: readonly string[]])[] = [];
  /** The most commands that ran at the same time. */
  mostAtOnce = 0;
  #running = 0;
  readonly kubeconfig = join(mkdtempSync(join(tmpdir(), 'simulated-fleet-')), 'kubeconfig');
  #api: ApiServer | undefined;

  private constructor(private readonly options: SimulatedFleetOptions) {}

  static async start(nodes: readonly string[], options: SimulatedFleetOptions = {}): Promise<SimulatedFleet> {
    const fleet = new SimulatedFleet(options);
    fleet.#api = await ApiServer.start({ ...options, exec: fleet.#exec });
    for (const [index, name] of nodes.entries())
      fleet.api.put(
        { kind: 'Node', metadata: { name, labels: { zone: index % 2 === 0 ? 'a' : 'b' } } },
        podOf(name),
      );
    const endpoints = simulatedBackends.map((backend, index) =>
      ready(backend.replace(':8080', ''), { pod: `web-${index + 1}` }),
    );
    fleet.api.put(
      serviceObject(simulatedService, {
        type: 'NodePort',
        clusterIP: '10.96.10.10',
        ports: ['http:80@30080'],
      }) as ApiObject,
      sliceObject(simulatedService, endpoints, { ports: ['http:8080'] }) as ApiObject,
    );
    writeFileSync(fleet.kubeconfig, kubeconfigFor(fleet.api.url, 'secret'));
    return fleet;
  }

  get api(): ApiServer {
    if (this.#api === undefined) throw new Error('the server is not started');
    return this.#api;
  }

  readonly #exec: ExecHandler = async (request) => {
    const node = request.pod.replace(/^kube-ipvs-/, '');
    this.commands.push([node, request.command]);
    this.#running += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#running);
    try {
      await this.options.delay?.();
      return await (this.options.override?.(node, request) ??
        answerOf(request, node, this.options.states?.[node] ?? {}));
    } finally {
      this.#running -= 1;
    }
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.api[Symbol.asyncDispose]();
  }
}
