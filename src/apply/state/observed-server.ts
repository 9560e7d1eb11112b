import { KeyedValues } from '../../base/collections/keyed-values.js';
import { digestOf } from '../../kernel/ipvs/table-file/digest.js';
import type { RealServer, RealServerKey, VirtualServer } from '../../model/virtual-server.js';

/** The observed state of one virtual server. */
export interface ObservedVirtualServer {
  readonly server: VirtualServer;
  readonly realServers: ReadonlyMap<RealServerKey, RealServer>;
  /** The digest that the kernel's table file has for these real servers. */
  readonly digest: number;
}

export class ObservedServer implements ObservedVirtualServer {
  readonly #realServers: KeyedValues<RealServerKey, RealServer>;
  /** Computed when it is first read after a change. */
  #digest: number | undefined;

  constructor(
    public server: VirtualServer,
    realServers: Iterable<RealServer> = [],
  ) {
    this.#realServers = new KeyedValues([...realServers]);
  }

  get realServers(): ReadonlyMap<RealServerKey, RealServer> {
    return this.#realServers;
  }

  get digest(): number {
    return (this.#digest ??= digestOf(this.#realServers.values()));
  }

  setRealServer(server: RealServer): void {
    this.#digest = undefined;
    this.#realServers.set(server);
  }

  deleteRealServer(key: RealServerKey): void {
    this.#digest = undefined;
    this.#realServers.delete(key);
  }
}
