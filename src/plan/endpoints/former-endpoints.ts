import type { Endpoint } from '../../model/endpoint.js';
import type { ServiceKey } from '../../model/service.js';
import type {
  DesiredRealServer,
  RealServerKey,
  VirtualServerKey,
  DesiredVirtualServer,
} from '../../model/virtual-server.js';

/**
 * How an endpoint was last seen before it became unused: `terminating` and serving, because its pod is
 * deleted; `unready`, and possibly not serving; `removed` while ready, or no longer selected for this node.
 */
export type Departure = 'terminating' | 'unready' | 'removed';

export const departureOf = ({ ready, serving, terminating }: Endpoint): Departure => {
  if (ready) return 'removed';
  return terminating && serving ? 'terminating' : 'unready';
};

/** The endpoints in EndpointSlices that are not ready, by the key of their possible real server. */
export type UnreadyEndpoints = ReadonlyMap<RealServerKey, Endpoint>;

type MaybeDesired = DesiredVirtualServer<DesiredRealServer> | undefined;

/** The remaining data of a virtual server that no Service defines any more. */
export interface FormerVirtualServer {
  /** The Service that owned it. */
  readonly service: ServiceKey;
  /** The drain deadline that the Service set. */
  readonly drainMilliseconds: number | undefined;
}

/** A virtual server and the Service that owns it. */
export interface OwnedVirtualServer {
  readonly service: ServiceKey | undefined;
  readonly entry: MaybeDesired;
}

/** The last known endpoints of undesired real servers, kept as long as the kernel has the real server. */
export class FormerEndpoints {
  readonly #endpoints = new Map<VirtualServerKey, Map<RealServerKey, Endpoint>>();
  readonly #virtualServers = new Map<VirtualServerKey, FormerVirtualServer>();

  /** Records a change of the desired virtual server. `unready` has the unready endpoints of the owner. */
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
    for (const { key: realServer, endpoint } of before?.realServers.values() ?? [])
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

  /** The virtual server, if no Service defines it any more and the kernel still has it. */
  virtualServer(key: VirtualServerKey): FormerVirtualServer | undefined {
    return this.#virtualServers.get(key);
  }

  /**
   * Removes the endpoints of real servers that the kernel no longer has. `present` has the real servers of
   * the virtual server in the kernel.
   */
  retain(key: VirtualServerKey, present: ReadonlyMap<RealServerKey, unknown> | undefined): void {
    if (present === undefined) this.#virtualServers.delete(key);
    const known = this.#endpoints.get(key);
    if (known === undefined) return;
    for (const realServer of known.keys()) if (present?.has(realServer) !== true) known.delete(realServer);
    if (known.size === 0) this.#endpoints.delete(key);
  }

  /** The number of virtual servers with former endpoints. */
  get size(): number {
    return this.#endpoints.size;
  }
}
