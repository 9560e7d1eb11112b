import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import {
  local,
  ready,
  serviceObject,
  servingTerminating,
  sliceObject,
  thisNode,
  type EndpointSpec,
} from '../support/objects.js';
import type { Random } from '../support/random.js';
import { kubeconfigFor } from '../support/kubeconfig.js';
import { realServerText, type RealServerText } from './kernel-table.js';

export const webAddress = '10.96.0.10';
export const webNodePort = 30_080;
export const nodeAddress = '192.0.2.1';
/** A Service whose only endpoint tells by its port how far the daemon is. */
const markAddress = '10.96.0.11';

/** Where an endpoint of `web` is in its life. */
export type WebState = 'ready' | 'terminating' | 'gone';

const part = (index: number): string => `${index >> 8}.${index & 255}`;

/** The addresses that endpoints of other Services than `web` have: nobody is there. */
const nobodys = (service: number, endpoint: number): string => `10.${128 + endpoint}.${part(service)}`;

/** The objects of a cluster behind an API server: a Service `web` that is asked all the time, and others that only change. */
export class World implements AsyncDisposable {
  readonly kubeconfig = join(mkdtempSync(join(tmpdir(), 'world-')), 'kubeconfig');
  readonly #web = new Map<string, WebState>();
  readonly #others = new Set<number>();
  #mark = 1_000;

  private constructor(
    readonly server: ApiServer,
    private readonly random: Random,
  ) {
    writeFileSync(this.kubeconfig, kubeconfigFor(server.url));
  }

  static async start(random: Random): Promise<World> {
    const server = await ApiServer.start();
    const world = new World(server, random);
    server.put(
      {
        kind: 'Node',
        metadata: { name: thisNode },
        spec: { podCIDRs: ['10.244.0.0/24'] },
        status: { addresses: [{ type: 'InternalIP', address: nodeAddress }] },
      },
      serviceObject('web', {
        type: 'NodePort',
        clusterIP: webAddress,
        ports: [`http:80@${webNodePort}`],
      }) as ApiObject,
      serviceObject('mark', { clusterIP: markAddress }) as ApiObject,
    );
    return world;
  }

  /** Makes a change that nobody needs; gives the real server, as /proc/net/ip_vs has it, that it is seen by. */
  mark(): RealServerText {
    this.#mark += 1;
    this.server.put(sliceObject('mark', [ready('10.127.0.1')], { ports: [`:${this.#mark}`] }) as ApiObject);
    return realServerText('10.127.0.1', this.#mark);
  }

  /** Sets what becomes of an endpoint of `web`. */
  setWeb(address: string, state: WebState): void {
    this.#web.set(address, state);
    const endpoints = [...this.#web]
      .filter(([, each]) => each !== 'gone')
      .map(([each, now]) => local(now === 'ready' ? ready(each) : servingTerminating(each)));
    this.server.put(sliceObject('web', endpoints, { ports: ['http:8080'] }) as ApiObject);
  }

  /** Makes the other Services exactly so many, each with some endpoints. */
  fill(count: number): void {
    for (let index = 0; index < count; index += 1) this.#putOther(index);
  }

  /** One of the other Services is made, changed or deleted, with its endpoints or without. */
  change(of: number): void {
    const index = this.random.below(of);
    const key = `other-${index}`;
    if (!this.#others.has(index)) return this.#putOther(index);
    switch (this.random.below(8)) {
      case 0:
        this.server.delete('Service', `default/${key}`);
        this.server.delete('EndpointSlice', `default/${key}-slice`);
        this.#others.delete(index);
        return;
      case 1:
        return this.#putOther(index);
      default:
        this.server.put(this.#endpointsOf(index));
    }
  }

  #putOther(index: number): void {
    const several = this.random.below(4) === 0;
    this.#others.add(index);
    this.server.put(
      serviceObject(`other-${index}`, {
        clusterIP: `10.97.${part(index)}`,
        ports: several ? ['http:80', 'dns:53/UDP'] : ['http:80'],
        ...(this.random.below(5) === 0 && { sessionAffinity: 'ClientIP' }),
      }) as ApiObject,
      this.#endpointsOf(index),
    );
  }

  #endpointsOf(index: number): ApiObject {
    const endpoints: EndpointSpec[] = [];
    for (let endpoint = 0; endpoint < 6; endpoint += 1) {
      const chance = this.random.next();
      if (chance < 0.7) endpoints.push(ready(nobodys(index, endpoint)));
      else if (chance < 0.8) endpoints.push(servingTerminating(nobodys(index, endpoint)));
    }
    return sliceObject(`other-${index}`, endpoints, { ports: ['http:8080', 'dns:53/UDP'] }) as ApiObject;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}
