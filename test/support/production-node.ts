import { defaultInstance } from '../../src/model/instance-names.js';
import { silentLogger, type Logger } from '../../src/base/log.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings, type Settings } from '../../src/config/settings.js';
import { compose, type Composition } from '../../src/daemon/compose.js';
import { ChangeableSettings } from '../../src/daemon/config/live-settings.js';
import { silentRecorder, type EventRecorder } from '../../src/daemon/events/event-recorder.js';
import { Metrics } from '../../src/daemon/metrics/registry.js';
import { ConntrackClient } from '../../src/kernel/conntrack/client.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { NetfilterGroup } from '../../src/kernel/nfnetlink.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { tableOfEvent } from '../../src/kernel/nftables/events.js';
import { RouteGroup } from '../../src/kernel/rtnetlink/attributes.js';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import { rtnetlinkEventFrom } from '../../src/kernel/rtnetlink/events.js';
import type { TableFile } from '../../src/kernel/ipvs/table-file/table-file.js';
import type { EndpointSlice, EndpointSliceKey } from '../../src/model/endpoint.js';
import type { NodeFacts } from '../../src/model/node.js';
import type { Service, ServiceKey } from '../../src/model/service.js';
import type { ObjectChange } from '../../src/watch/store/cluster-store.js';
import { addressText, elementText, tableText, type ClusterObjects } from './desired-kernel.js';
import { FakeKernel } from './fake-kernel/fake-kernel.js';
import { OtherProgram } from './fake-kernel/other-program.js';
import { nodeFacts, thisNode } from './objects.js';
import { VirtualTimers } from './virtual-timers.js';

export interface ProductionNodeOptions {
  readonly facts?: NodeFacts;
  readonly settings?: Partial<Settings>;
  readonly log?: Logger;
  readonly events?: EventRecorder;
  /** Takes the place of the kernel's table file. */
  readonly tableFile?: (kernel: TableFile) => TableFile;
}

/** The clients and the composition of one process, as the daemon has them. */
export interface FakeProcess extends AsyncDisposable {
  readonly composition: Composition;
}

const families = ['IPv4', 'IPv6'] as const;
/** Shared by all nodes: no test reads it. */
const metrics = new Metrics({ version: '0.0.0', processMetrics: false });

export const nodeSettings = resolveSettings({
  flags: parseFlags(['--proxy-mode=ipvs', '--ipvs-min-sync-period=0s', '--ipvs-sync-period=1h']),
  files: [],
  hostname: thisNode,
});

/** No setting of the machine that runs the test is read or written. */
const parameters = {
  facts: { release: '6.1.0', cpus: 2, read: () => 'absent' as const },
  write: () => undefined,
};

/** As subscribeToKernel does it with the sockets of a machine. */
const listen = (
  kernel: FakeKernel,
  { routeEvents, syncLoop }: Composition,
  { route, nftables }: { readonly route: RtnetlinkClient; readonly nftables: NftablesClient },
): Disposable => {
  const names = new Map<number, string>();
  const rulesChanged = (): void => syncLoop.packetRulesChanged();
  const listeners = [
    kernel.listen({
      protocol: 'route',
      groups: Object.values(RouteGroup),
      ignoredPortId: () => route.portId,
      message: (message) => {
        const event = rtnetlinkEventFrom(message, names, defaultInstance.routeMetric);
        if (event !== undefined) routeEvents.handle(event);
      },
      lost: () => syncLoop.eventsLost(),
    }),
    kernel.listen({
      protocol: 'netfilter',
      groups: [NetfilterGroup.nftables],
      ignoredPortId: () => nftables.portId,
      message: (message) => {
        if (tableOfEvent(message)?.table === defaultInstance.table) rulesChanged();
      },
      lost: rulesChanged,
    }),
  ];
  return {
    [Symbol.dispose](): void {
      for (const listener of listeners) listener[Symbol.dispose]();
    },
  };
};

/** Opens the production composition on a fake kernel, which may run in real time. */
export const openProcess = async (
  kernel: FakeKernel,
  settings: ChangeableSettings,
  {
    log = silentLogger,
    events: recorder = silentRecorder,
    tableFile: replaced = (file) => file,
  }: ProductionNodeOptions,
): Promise<FakeProcess> => {
  const tableFile = replaced(kernel.ipvs.tableFile);
  const clients = {
    ipvs: IpvsClient.open(kernel.connect('generic')),
    route: RtnetlinkClient.open(defaultInstance, kernel.connect('route')),
    nftables: NftablesClient.open(kernel.connect('netfilter')),
    conntrack: ConntrackClient.open(kernel.connect('netfilter')),
  };
  const ports = { ...clients, tableFile, packetFamilies: families, families, parameters };
  const composition = compose(settings, ports, recorder, metrics, log);
  await composition.readInitialState();
  await composition.dummy.ensure();
  const events = listen(kernel, composition, clients);
  await composition.readAddresses();
  return {
    composition,
    async [Symbol.asyncDispose](): Promise<void> {
      await composition.syncLoop[Symbol.asyncDispose]();
      events[Symbol.dispose]();
      for (const client of Object.values(clients)) client.close();
    },
  };
};

/**
 * A node with the daemon's own composition over a fake kernel, in virtual time. Every step resolves once all has happened that needs
 * no time, with what it did to the IPVS table and the addresses of kube-ipvs0, a line each.
 */
export class ProductionNode implements AsyncDisposable {
  readonly time = new VirtualTimers();
  readonly kernel = new FakeKernel();
  readonly other = new OtherProgram(this.kernel.connectOther);
  readonly #services = new Map<ServiceKey, Service>();
  #slices = new Map<EndpointSliceKey, EndpointSlice>();
  #facts: NodeFacts;
  #process: FakeProcess | undefined;
  #settings: ChangeableSettings;

  private constructor(private readonly options: ProductionNodeOptions) {
    this.#settings = new ChangeableSettings({ ...nodeSettings, ...options.settings });
    this.#facts = options.facts ?? nodeFacts();
  }

  /** A node without Services, once its first sync has ended. */
  static async start(options: ProductionNodeOptions = {}): Promise<ProductionNode> {
    const node = new ProductionNode(options);
    node.#setAddresses();
    await node.#begin();
    return node;
  }

  /** Of the process that runs. */
  get composition(): Composition {
    if (this.#process === undefined) throw new Error('the daemon does not run');
    return this.#process.composition;
  }

  get objects(): ClusterObjects {
    return { services: [...this.#services.values()], slices: [...this.#slices.values()] };
  }

  get facts(): NodeFacts {
    return this.#facts;
  }

  /** Whatever the test does, until all has happened that needs no time. */
  async act(work: () => unknown): Promise<readonly string[]> {
    const before = this.kernel.changes.length;
    await work();
    await this.time.settle();
    return this.kernel.changes.slice(before);
  }

  advance(milliseconds: number): Promise<readonly string[]> {
    return this.act(() => this.time.advance(milliseconds));
  }

  /** Takes the place of all objects. */
  replace(objects: ClusterObjects): Promise<readonly string[]> {
    this.#setObjects(objects);
    return this.act(() => this.#deliver());
  }

  /** One Service and its slices change; undefined: it goes. */
  change(
    key: ServiceKey,
    service: Service | undefined,
    slices: readonly EndpointSlice[],
  ): Promise<readonly string[]> {
    const kept = new Set(slices.map((slice) => slice.key));
    const gone = [...this.#slices.values()].filter((slice) => slice.service === key && !kept.has(slice.key));
    const changes: readonly ObjectChange[] = [
      { kind: 'service', key, value: service },
      ...gone.map((slice) => ({ kind: 'endpointSlice' as const, key: slice.key, value: undefined })),
      ...slices.map((slice) => ({ kind: 'endpointSlice' as const, key: slice.key, value: slice })),
    ];
    if (service === undefined) this.#services.delete(key);
    else this.#services.set(key, service);
    for (const slice of gone) this.#slices.delete(slice.key);
    for (const slice of slices) this.#slices.set(slice.key, slice);
    return this.act(() => this.composition.store.apply(changes));
  }

  /** Addresses come and go, one after the other as the kernel tells of them, and the zone changes. */
  setFacts(facts: NodeFacts): Promise<readonly string[]> {
    this.#facts = facts;
    return this.act(() => {
      this.#setAddresses();
      this.composition.store.apply([{ kind: 'node', value: this.#nodeObject() }]);
    });
  }

  get settings(): Settings {
    return this.#settings.now;
  }

  /** A changed configuration file takes effect, or, where the process does not run, waits for the next one. */
  changeSettings(changes: Partial<Settings>): Promise<readonly string[]> {
    const settings = this.#settings;
    const replace = async (): Promise<void> => settings.replace({ ...settings.now, ...changes });
    return this.act(() =>
      this.#process === undefined ? replace() : this.composition.syncLoop.changeSettings(replace),
    );
  }

  /** Reads everything and repairs what differs. */
  resync(): Promise<readonly string[]> {
    return this.act(() => this.composition.syncLoop.resyncNow());
  }

  /** The process ends, where it runs, and another one begins on what is there; perhaps with other objects, on another node. */
  restart(
    objects: ClusterObjects = this.objects,
    facts: NodeFacts = this.#facts,
  ): Promise<readonly string[]> {
    return this.act(async () => {
      await this.stop();
      this.#setObjects(objects);
      this.#facts = facts;
      this.#setAddresses();
      await this.#begin();
    });
  }

  async stop(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }

  /** Reasons of what keeps Services from being served as they ask. */
  get problems(): readonly string[] {
    return [...this.composition.problemEvents()].map(({ reason }) => reason);
  }

  /** The kernel's IPVS table, a line a virtual server. */
  get lines(): readonly string[] {
    return tableText(this.kernel.ipvs.tables());
  }

  /** Those of kube-ipvs0. */
  get addresses(): readonly string[] {
    return addressText(this.kernel.route.dummyAddresses());
  }

  /** The VIPs that have a local route of the daemon. */
  get routes(): readonly string[] {
    return addressText(this.kernel.route.routes.vips());
  }

  /** Of the daemon's packet rules. */
  get elements(): readonly string[] {
    return elementText(this.kernel.nftables.elementsOf(defaultInstance.table));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      this.time[Symbol.dispose]();
    }
  }

  async #begin(): Promise<void> {
    const settings = new ChangeableSettings(this.#settings.now);
    this.#process = await openProcess(this.kernel, settings, this.options);
    this.#settings = settings;
    void this.composition.syncLoop.start();
    this.#deliver();
    await this.time.settle();
  }

  #setObjects({ services, slices }: ClusterObjects): void {
    this.#services.clear();
    for (const service of services) this.#services.set(service.key, service);
    this.#slices = new Map(slices.map((slice) => [slice.key, slice]));
  }

  #deliver(): void {
    this.composition.store.replaceAll({
      services: this.#services,
      endpointSlices: this.#slices,
      node: this.#nodeObject(),
    });
  }

  #nodeObject(): Parameters<Composition['store']['replaceAll']>[0]['node'] {
    const { name, zone, statusAddresses } = this.#facts;
    return { name, zone, addresses: statusAddresses, podCidrs: [], isBeingRemoved: false };
  }

  #setAddresses(): void {
    const wanted = this.#facts.addresses.map(
      ({ interfaceName, address, prefixLength }) => `${interfaceName} ${address}/${prefixLength}`,
    );
    const before = this.kernel.route.nodeAddresses();
    for (const text of before) if (!wanted.includes(text)) this.kernel.route.removeAddress(text);
    for (const text of wanted) if (!before.includes(text)) this.kernel.route.addAddress(text);
  }
}
