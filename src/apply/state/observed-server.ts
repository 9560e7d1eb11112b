import { KeyedValues } from '../../base/collections/keyed-values.js';
import { digestOf } from '../../kernel/ipvs/table-file/digest.js';
import type { RealServer, RealServerKey, VirtualServer } from '../../model/virtual-server.js';

/** A page of the kernel's table file. */
export interface TablePage {
  /** The round of the resync that last read it. */
  readonly round: number;
}

/** The observed state of one virtual server. */
export interface ObservedVirtualServer {
  readonly server: VirtualServer;
  readonly realServers: ReadonlyMap<RealServerKey, RealServer>;
  /** The digest that the kernel's table file has for these real servers. */
  readonly digest: number;
  /** The page of the table file that last showed the virtual server as it is known; undefined after a change. */
  page: TablePage | undefined;
}

export class ObservedServer implements ObservedVirtualServer {
  readonly #realServers: KeyedValues<RealServerKey, RealServer>;
  /** Computed when it is first read after a change. */
  #digest: number | undefined;
  #server: VirtualServer;
  page: TablePage | undefined;

  constructor(server: VirtualServer, realServers: Iterable<RealServer> = []) {
    this.#server = server;
    this.#realServers = new KeyedValues([...realServers]);
  }

  get server(): VirtualServer {
    return this.#server;
  }

  set server(server: VirtualServer) {
    this.#server = server;
    this.page = undefined;
  }

  get realServers(): ReadonlyMap<RealServerKey, RealServer> {
    return this.#realServers;
  }

  get digest(): number {
    return (this.#digest ??= digestOf(this.#realServers.values()));
  }

  setRealServer(server: RealServer): void {
    this.#forget();
    this.#realServers.set(server);
  }

  deleteRealServer(key: RealServerKey): void {
    this.#forget();
    this.#realServers.delete(key);
  }

  #forget(): void {
    this.#digest = undefined;
    this.page = undefined;
  }
}
