import type { VirtualServerIdentity, VirtualServerKey } from '../model/virtual-server.js';

/** Which frontends have a virtual server on a firewall mark. */
export interface MarkedFrontends {
  /**
   * The key of that virtual server, whether or not it exists at present: for requests from the cluster, or for the
   * node port; undefined if the frontend needs none.
   */
  markedServerOf(frontend: VirtualServerKey): VirtualServerKey | undefined;
  /** The frontends of such a virtual server, as long as the Service exists. */
  frontendsOf(server: VirtualServerKey): Iterable<VirtualServerIdentity>;
}
