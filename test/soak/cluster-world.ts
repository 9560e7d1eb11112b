import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { objectKey, type ApiObject, type Kind } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { kubeconfigFor } from '../support/kubeconfig.js';
import { ready, serviceObject, servingTerminating, sliceObject, thisNode } from '../support/objects.js';
import type { Random } from '../support/random.js';
import { realServerText, realServerText6, type RealServerText } from './kernel-table.js';

export const families = ['IPv4', 'IPv6'] as const;
export type Family = (typeof families)[number];

/** Where `web` is reached, by family. */
export const webAddresses = {
  ClusterIP: { IPv4: '10.96.0.10', IPv6: 'fd00:96::10' },
  NodePort: { IPv4: '192.0.2.1', IPv6: '2001:db8:1::1' },
  LoadBalancer: { IPv4: '203.0.113.10', IPv6: '2001:db8:203::10' },
} as const;
export const webNodePort = 30_080;
const markAddress = '10.96.0.11';

/** The pods of scripts/kernel-lab/network, by number. */
export const podAddress = (number: number, family: Family): string =>
  family === 'IPv4' ? `10.244.0.${10 + number}` : `fd00:244::${10 + number}`;

export type WebState = 'ready' | 'terminating' | 'gone';

const otherCount = 40;

/** The objects of a dual-stack cluster of two nodes, behind an API server that goes down and comes back. */
export class ClusterWorld implements AsyncDisposable {
  readonly kubeconfig = join(mkdtempSync(join(tmpdir(), 'cluster-')), 'kubeconfig');
  /** What etcd keeps while the server is down. */
  readonly #kept = new Map<string, ApiObject>();
  readonly #web = new Map<number, { readonly on: string; readonly state: WebState }>();
  #mark = 1_000;

  private constructor(
    private current: ApiServer,
    private readonly random: Random,
  ) {
    writeFileSync(this.kubeconfig, kubeconfigFor(current.url, 'lab'));
  }

  static async start(random: Random): Promise<ClusterWorld> {
    const world = new ClusterWorld(await ApiServer.start(), random);
    world.putNode(thisNode);
    world.putNode('n2');
    world.#put(
      serviceObject('web', {
        type: 'LoadBalancer',
        clusterIPs: families.map((family) => webAddresses.ClusterIP[family]),
        ipFamilies: families,
        ingress: families.map((family) => ({ ip: webAddresses.LoadBalancer[family] })),
        ports: [`http:80@${webNodePort}`],
      }),
      serviceObject('mark', { clusterIP: markAddress }),
    );
    for (let index = 0; index < otherCount; index += 1) world.#putOther(index);
    return world;
  }

  get server(): ApiServer {
    return this.current;
  }

  /** Everything that the API server has. */
  get objects(): readonly ApiObject[] {
    return (['Service', 'EndpointSlice', 'Node'] as const).flatMap((kind) => this.current.list(kind));
  }

  #put(...objects: readonly object[]): void {
    // What serviceObject and sliceObject give.
    for (const object of objects as readonly ApiObject[]) {
      this.#kept.set(`${object.kind} ${objectKey(object)}`, object);
      this.current.put(object);
    }
  }

  #delete(kind: Kind, key: string): void {
    this.#kept.delete(`${kind} ${key}`);
    this.current.delete(kind, key);
  }

  putNode(name: string): void {
    this.#put({
      kind: 'Node',
      metadata: { name },
      spec: { podCIDRs: ['10.244.0.0/24', 'fd00:244::/64'] },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: families.map((family) => ({
          type: 'InternalIP',
          address: webAddresses.NodePort[family],
        })),
      },
    });
  }

  deleteNode(name: string): void {
    this.#delete('Node', name);
  }

  /** Sets what becomes of the pod of this number. */
  setWeb(number: number, state: WebState): void {
    this.#web.set(number, { on: number === 3 ? 'n2' : thisNode, state });
    for (const family of families)
      this.#put(
        sliceObject(
          'web',
          [...this.#web]
            .filter(([, pod]) => pod.state !== 'gone')
            .map(([each, pod]) => {
              const make = pod.state === 'ready' ? ready : servingTerminating;
              return { ...make(podAddress(each, family)), on: pod.on };
            }),
          { ports: ['http:8080'], family, suffix: family.toLowerCase() },
        ),
      );
  }

  /** Makes a change that nobody needs; gives the real server, as /proc/net/ip_vs has it, that it is seen by. */
  mark(): RealServerText {
    this.#mark += 1;
    this.#put(sliceObject('mark', [ready('10.127.0.1')], { ports: [`:${this.#mark}`] }));
    return realServerText('10.127.0.1', this.#mark);
  }

  /** The same of a Service, whose virtual server it gives. */
  markService(): RealServerText {
    this.#mark += 1;
    const clusterIP = `10.96.${1 + (this.#mark >> 8)}.${this.#mark & 255}`;
    this.#put(serviceObject('mark-service', { clusterIP }));
    return realServerText(clusterIP, 80);
  }

  /** Another Service, or its endpoints, changes. */
  change(): void {
    this.#putOther(this.random.below(otherCount));
  }

  #putOther(index: number): void {
    const name = `other-${index}`;
    const endpoints = Array.from({ length: 1 + this.random.below(5) }, (_, endpoint) =>
      ready(`10.${128 + endpoint}.0.${index}`),
    );
    this.#put(
      serviceObject(name, { clusterIP: `10.97.0.${index}`, ports: ['http:80'] }),
      sliceObject(name, endpoints, { ports: ['http:8080'] }),
    );
  }

  /**
   * Takes the server away while `meanwhile` runs; then another one has its port, the objects and no history, so that every watch
   * is answered with 410. `atStart` makes it fail the requests that come first.
   */
  async restart(meanwhile: () => Promise<void>, atStart: (server: ApiServer) => void): Promise<void> {
    const { port, version } = this.current;
    await this.current[Symbol.asyncDispose]();
    await meanwhile();
    const next = await ApiServer.start({ port });
    next.rewind(version + 1_000);
    next.put(...this.#kept.values());
    next.compact();
    atStart(next);
    this.current = next;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.current[Symbol.asyncDispose]();
  }
}

/** Where the server of a pod listens. */
export const podSockets = (number: number): readonly string[] => [
  `${podAddress(number, 'IPv4')}:8080`,
  `[${podAddress(number, 'IPv6')}]:8080`,
];

/** The same as /proc/net/ip_vs writes it. */
export const realServersOf = (number: number): readonly RealServerText[] => [
  realServerText(podAddress(number, 'IPv4'), 8_080),
  realServerText6(podAddress(number, 'IPv6'), 8_080),
];
