import { messageOf } from '../../base/errors.js';
import type { IpAddress } from '../../base/ip.js';
import type { Operation } from '../../model/operation.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import { vipElement } from '../../plan/packet-rules/packet-elements.js';
import type { OwnershipConflicts } from '../ownership/ownership-conflicts.js';
import { meaningOfRead, type Refusal } from '../retry/decisions.js';
import { isReadError, readVirtualServer, type IpvsReads, type ReadError } from './kernel-reader.js';
import type { ObservedState } from './observed-state.js';

export interface UntrustedKeysParts {
  readonly ipvs: IpvsReads;
  readonly observed: ObservedState;
  readonly conflicts: Pick<OwnershipConflicts, 'resolveOwnership'>;
  /** The virtual server is tried again later. */
  readonly scheduleRetry: (
    key: VirtualServerKey,
    refusal: Refusal,
    failure: { readonly operation: string; readonly reason: string },
  ) => void;
}

/**
 * Reads again the virtual servers whose state is in doubt. One that cannot even be read is left as it is until its next try, and
 * costs nothing else: what it holds is not known, so nothing is done to it, and its address stays.
 */
export class UntrustedKeys {
  /** What could not be read when it was tried last. */
  readonly #unreadable = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** How many of them are on an address. */
  readonly #unreadableByAddress = new Map<IpAddress, number>();

  constructor(private readonly parts: UntrustedKeysParts) {}

  /** The kernel would not tell of it, whoever asked. */
  recordUnreadable(identity: VirtualServerIdentity, error: ReadError): void {
    const key = virtualServerKey(identity);
    if (!this.#unreadable.has(key)) this.#addToCount(identity, 1);
    this.#unreadable.set(key, identity);
    this.scheduleRetry(key, error);
  }

  /** The same where what is known of it counts all the same. */
  scheduleRetry(key: VirtualServerKey, error: ReadError): void {
    const failure = { operation: `read virtual server ${key}`, reason: messageOf(error) };
    this.parts.scheduleRetry(key, meaningOfRead(error), failure);
  }

  /** Whether the operation is to wait, as it takes the address of one that may have connections. */
  mustWait(operation: Operation): boolean {
    if (operation.kind === 'unbind-address') return this.#unreadableByAddress.has(operation.address);
    if (operation.kind !== 'delete-element' || operation.element.set !== 'vips') return false;
    return this.#unreadableByAddress.has(operation.element.fields[0] as IpAddress);
  }

  /** Of what is tried now and could not be read before it is not known how it stands. Gives what waited for that. */
  invalidate(tried: ReadonlySet<VirtualServerKey>): DirtyKeys {
    const addresses = new Set<IpAddress>();
    for (const [key, identity] of this.#unreadable) {
      if (!tried.has(key)) continue;
      this.#unreadable.delete(key);
      this.#addToCount(identity, -1);
      if (identity.by === 'address') addresses.add(identity.address);
      this.parts.observed.invalidate(identity);
    }
    return dirtyKeys({
      addresses,
      elements: new Set([...addresses].map((address) => vipElement(address).key)),
    });
  }

  #addToCount(identity: VirtualServerIdentity, more: number): void {
    if (identity.by !== 'address') return;
    const count = (this.#unreadableByAddress.get(identity.address) ?? 0) + more;
    if (count > 0) this.#unreadableByAddress.set(identity.address, count);
    else this.#unreadableByAddress.delete(identity.address);
  }

  /** Reads what is in doubt; gives what could be read. */
  async reread(): Promise<ReadonlySet<VirtualServerKey>> {
    const { ipvs, observed, conflicts } = this.parts;
    const keys = new Set<VirtualServerKey>();
    for (const identity of observed.takeUntrusted()) {
      const key = virtualServerKey(identity);
      try {
        observed.setVirtualServer(
          key,
          conflicts.resolveOwnership(identity, await readVirtualServer(ipvs, identity)),
        );
        keys.add(key);
      } catch (error) {
        if (!isReadError(error)) throw error;
        this.recordUnreadable(identity, error);
      }
    }
    return keys;
  }
}
