import type { Endpoint } from '../../model/endpoint.js';
import type { ServiceKey } from '../../model/service.js';
import type {
  DesiredRealServer,
  RealServerKey,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';

/**
 * Why an endpoint is not used any more, by how it was last seen: `terminating` and serving, as when its pod is deleted; `unready`,
 * so that nothing says that it serves; `removed` from one look to the next, or not meant for this node any more.
 */
export type Departure = 'terminating' | 'unready' | 'removed';

export const departureOf = ({ ready, serving, terminating }: Endpoint): Departure => {
  if (ready) return 'removed';
  return terminating && serving ? 'terminating' : 'unready';
};

/** Endpoints that are not ready, as EndpointSlices have them, by the real servers that they may have been. */
export type UnreadyEndpoints = ReadonlyMap<RealServerKey, Endpoint>;

type MaybeDesired = DesiredVirtualServer<DesiredRealServer> | undefined;

/** What is kept of a virtual server that nobody asks for any more. */
export interface FormerVirtualServer {
  /** The Service that had it. */
  readonly service: ServiceKey;
  /** How long it said that real servers may drain. */
  readonly drainMilliseconds: number | undefined;
}

/** What a virtual server was or is to be, and whose. */
export interface OwnedVirtualServer {
  readonly service: ServiceKey | undefined;
  readonly entry: MaybeDesired;
}

/** The endpoints of real servers that are not wanted any more, each as it was last seen, for as long as somebody asks for it. */
export class FormerEndpoints {
  readonly #endpoints = new Map<VirtualServerKey, Map<RealServerKey, Endpoint>>();
  readonly #virtualServers = new Map<VirtualServerKey, FormerVirtualServer>();

  /** Takes in that a virtual server is wanted otherwise now; `unready` is of the Service that has it. */
  recordChange(
    key: VirtualServerKey,
    { service, entry: before }: OwnedVirtualServer,
    after: MaybeDesired,
    unready: UnreadyEndpoints | undefined,
  ): void {
    if (after !== undefined) this.#virtualServers.delete(key);
    else if (service !== undefined)
      this.#virtualServers.set(key, { service, drainMilliseconds: before?.drainMilliseconds });
    const known = this.#endpoints.get(key) ?? new Map<RealServerKey, Endpoint>();
    for (const [realServer, { endpoint }] of before?.realServers ?? [])
      if (after?.realServers.has(realServer) !== true) known.set(realServer, endpoint);
    for (const realServer of known.keys()) {
      const seen = unready?.get(realServer);
      if (after?.realServers.has(realServer) === true) known.delete(realServer);
      else if (seen !== undefined) known.set(realServer, seen);
    }
    if (known.size > 0) this.#endpoints.set(key, known);
    else this.#endpoints.delete(key);
  }

  get(key: VirtualServerKey, realServer: RealServerKey): Endpoint | undefined {
    return this.#endpoints.get(key)?.get(realServer);
  }

  /** The virtual server, where it is not wanted any more and is still there. */
  virtualServer(key: VirtualServerKey): FormerVirtualServer | undefined {
    return this.#virtualServers.get(key);
  }

  /** Forgets those of a virtual server that the kernel does not have any more; `present`: the real servers that it has there. */
  retain(key: VirtualServerKey, present: ReadonlyMap<RealServerKey, unknown> | undefined): void {
    if (present === undefined) this.#virtualServers.delete(key);
    const known = this.#endpoints.get(key);
    if (known === undefined) return;
    for (const realServer of known.keys()) if (present?.has(realServer) !== true) known.delete(realServer);
    if (known.size === 0) this.#endpoints.delete(key);
  }

  /** How many virtual servers have any. */
  get size(): number {
    return this.#endpoints.size;
  }
}
