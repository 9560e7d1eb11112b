import { operationIdentity, type Operation } from '../../model/operation.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { ServedFrontend } from '../../plan/stale-flows.js';
import type { ObservedState } from '../mirror/observed-state.js';
import { servedFrontend } from './served-frontend.js';

/**
 * UDP virtual servers whose clients may have flows to a real server that is not theirs any more: nothing ends such a flow but
 * its client's silence.
 */
export class UdpFlowInvalidation {
  readonly #virtualServers = new Map<VirtualServerKey, VirtualServerIdentity>();

  constructor(private readonly observed: ObservedState) {}

  /** Takes in an operation that was done, before `observed` knows of it. A real server that joins others takes no flow from them. */
  record(operation: Operation): void {
    if ('element' in operation || 'address' in operation || operation.kind.startsWith('update')) return;
    const identity = operationIdentity(operation);
    if (identity.by !== 'address' || identity.protocol !== 'UDP') return;
    const key = virtualServerKey(identity);
    const isAdditional =
      operation.kind === 'add-real-server' && (this.observed.virtualServer(key)?.realServers.size ?? 0) > 0;
    if (!isAdditional) this.#virtualServers.set(key, identity);
  }

  /** Their frontends as they are now; empties the list. */
  take(): readonly ServedFrontend[] {
    const frontends = [...this.#virtualServers.values()].map((identity) =>
      servedFrontend(identity, this.observed),
    );
    this.#virtualServers.clear();
    return frontends;
  }
}
