import type { VirtualServerIdentity, VirtualServerKey } from '../model/virtual-server.js';

/** Which frontends have a virtual server on a firewall mark. */
export interface MarkedFrontends {
  /**
   * The key of that virtual server, whether or not it exists at present: for requests from the cluster, or for the
   * node port; undefined if the frontend needs none.
   */
  markedServerOf(frontend: VirtualServerKey): VirtualServerKey | undefined;
  /** The frontends of a virtual server on a firewall mark, as long as the Service exists. */
  frontendsOf(server: VirtualServerKey): Iterable<VirtualServerIdentity>;
  /**
   * Whether the key is that of a virtual server that is not desired because a node port changed between one virtual
   * server for all addresses and one for each, or ended. It ends only after new requests go to its successor.
   */
  isReplaced(key: VirtualServerKey): boolean;
}
