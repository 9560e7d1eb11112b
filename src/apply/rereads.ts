import { messageOf } from '../base/errors.js';
import type { IpAddress } from '../base/ip.js';
import type { Operation } from '../model/operation.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';
import { touch, type Touched } from '../plan/diff.js';
import { vipElement } from '../plan/packet-elements.js';
import type { Contests } from './contests.js';
import { meaningOfRead, type Refusal } from './decisions.js';
import { isRefusedRead, readVirtualServer, type IpvsReads, type RefusedRead } from './kernel-reader.js';
import type { Observed } from './observed.js';

export interface RereadsParts {
  readonly ipvs: IpvsReads;
  readonly observed: Observed;
  readonly contests: Pick<Contests, 'judge'>;
  /** The virtual server is tried again later. */
  readonly refuse: (
    key: VirtualServerKey,
    refusal: Refusal,
    news: { readonly operation: string; readonly reason: string },
  ) => void;
}

/**
 * Reads again the virtual servers whose state is in doubt. One that cannot even be read is left as it is until its next try, and
 * costs nothing else: what it holds is not known, so nothing is done to it, and its address stays.
 */
export class Rereads {
  /** What could not be read when it was tried last. */
  readonly #unread = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** How many of them are on an address. */
  readonly #unreadAt = new Map<IpAddress, number>();

  constructor(private readonly parts: RereadsParts) {}

  /** The kernel would not tell of it, whoever asked. */
  note(identity: VirtualServerIdentity, error: RefusedRead): void {
    const key = virtualServerKey(identity);
    if (!this.#unread.has(key)) this.#count(identity, 1);
    this.#unread.set(key, identity);
    this.refuse(key, error);
  }

  /** The same where what is known of it counts all the same. */
  refuse(key: VirtualServerKey, error: RefusedRead): void {
    const news = { operation: `read virtual server ${key}`, reason: messageOf(error) };
    this.parts.refuse(key, meaningOfRead(error), news);
  }

  /** Whether the operation is to wait, as it takes the address of one that may have connections. */
  holdsBack(operation: Operation): boolean {
    if (operation.kind === 'unbind-address') return this.#unreadAt.has(operation.address);
    if (operation.kind !== 'delete-element' || operation.element.set !== 'vips') return false;
    return this.#unreadAt.has(operation.element.fields[0] as IpAddress);
  }

  /** Of what is tried now and could not be read before it is not known how it stands. Gives what waited for that. */
  distrust(tried: ReadonlySet<VirtualServerKey>): Touched {
    const addresses = new Set<IpAddress>();
    for (const [key, identity] of this.#unread) {
      if (!tried.has(key)) continue;
      this.#unread.delete(key);
      this.#count(identity, -1);
      if (identity.by === 'address') addresses.add(identity.address);
      this.parts.observed.distrust(identity);
    }
    return touch({ addresses, elements: new Set([...addresses].map((address) => vipElement(address).key)) });
  }

  #count(identity: VirtualServerIdentity, more: number): void {
    if (identity.by !== 'address') return;
    const count = (this.#unreadAt.get(identity.address) ?? 0) + more;
    if (count > 0) this.#unreadAt.set(identity.address, count);
    else this.#unreadAt.delete(identity.address);
  }

  /** Reads what is in doubt; gives what could be read. */
  async read(): Promise<ReadonlySet<VirtualServerKey>> {
    const { ipvs, observed, contests } = this.parts;
    const keys = new Set<VirtualServerKey>();
    for (const identity of observed.takeUntrusted()) {
      const key = virtualServerKey(identity);
      try {
        observed.setVirtualServer(key, contests.judge(identity, await readVirtualServer(ipvs, identity)));
        keys.add(key);
      } catch (error) {
        if (!isRefusedRead(error)) throw error;
        this.note(identity, error);
      }
    }
    return keys;
  }
}
