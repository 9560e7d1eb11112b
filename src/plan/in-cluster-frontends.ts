import type { VirtualServerIdentity, VirtualServerKey } from '../model/virtual-server.js';

/** Which frontends have a virtual server on a firewall mark for requests from the cluster. */
export interface InClusterFrontends {
  /** The key of that virtual server, whether or not it exists at present; undefined if the frontend needs none. */
  inClusterServerOf(frontend: VirtualServerKey): VirtualServerKey | undefined;
  /** The frontends of such a virtual server, as long as the Service exists. */
  frontendsOf(server: VirtualServerKey): Iterable<VirtualServerIdentity>;
}
