import type { Settings } from '../../src/config/settings.js';
import type { RealServerObservation } from '../../src/model/virtual-server.js';
import { annotationKey, type ServiceAnnotationName } from '../../src/model/settings/service-annotations.js';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import { ready, service, slice, type EndpointSpec } from './objects.js';
import { ProductionNode, type ProductionNodeOptions } from './production-node.js';

export type PaceAnnotations = Readonly<Partial<Record<ServiceAnnotationName, string>>>;

export const pod = (last: number): string => `10.1.0.${last}`;

/** A node with the Service `web` and its pods 10.1.0.1, 10.1.0.2, …, whose weights change over time. */
export class PacedNode implements AsyncDisposable {
  private constructor(
    readonly node: ProductionNode,
    public annotations: PaceAnnotations,
  ) {}

  static async start(
    annotations: PaceAnnotations,
    pods: readonly number[],
    { settings, ...options }: ProductionNodeOptions & { readonly settings?: Partial<Settings> } = {},
  ): Promise<PacedNode> {
    const node = await ProductionNode.start({ settings: { syncPeriod: 3_600_000, ...settings }, ...options });
    const paced = new PacedNode(node, annotations);
    await paced.setPods(pods);
    return paced;
  }

  setPods(pods: readonly (number | EndpointSpec)[]): Promise<readonly string[]> {
    const { web, slices } = this.#objects(pods);
    return this.node.change(web.key, web, slices);
  }

  /** The daemon starts again, and finds these pods. */
  restartWith(pods: readonly (number | EndpointSpec)[]): Promise<readonly string[]> {
    const { web, slices } = this.#objects(pods);
    return this.node.restart({ services: [web], slices });
  }

  #objects(pods: readonly (number | EndpointSpec)[]): {
    readonly web: Service;
    readonly slices: readonly EndpointSlice[];
  } {
    const annotations = Object.fromEntries(
      Object.entries(this.annotations).map(([name, value]) => [annotationKey(name), value]),
    );
    const web = service('web', { clusterIP: '10.96.0.1', annotations });
    const endpoints = pods.map((each) => (typeof each === 'number' ? ready(pod(each)) : each));
    return { web, slices: [slice('web', endpoints)] };
  }

  get realServers(): readonly RealServerObservation[] {
    return this.node.kernel.ipvs.tables().flatMap(({ realServers }) => [...realServers.values()]);
  }

  get scheduler(): string | undefined {
    return this.node.kernel.ipvs.tables()[0]?.server.scheduler;
  }

  /** The weights in the kernel, as `1:10 2:10 3:1`. */
  get weights(): string {
    return this.realServers
      .map(({ address, weight }) => `${address.split('.').at(-1)}:${weight}`)
      .toSorted()
      .join(' ');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
  }
}
