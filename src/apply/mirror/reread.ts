import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import type { EngineState } from '../state/engine-state.js';
import { tryReadVirtualServer, type IpvsReads, type UnreadableHandler } from './kernel-reader.js';

export interface RereadParts {
  readonly ipvs: IpvsReads;
  readonly state: EngineState;
  /** Whether a virtual server that a Service asks for is to be ours, whoever made it. */
  readonly adoptForeign: (identity: VirtualServerIdentity) => boolean;
  readonly onUnreadable: UnreadableHandler;
}

/** Reads the virtual servers that are unconfirmed; gives those that could be read. One that cannot be read costs nothing else. */
export const rereadUnconfirmed = async ({
  ipvs,
  state,
  adoptForeign,
  onUnreadable,
}: RereadParts): Promise<ReadonlySet<VirtualServerKey>> => {
  const { virtualServers } = state;
  const reread = new Set<VirtualServerKey>();
  for (const identity of virtualServers.unconfirmed.values()) {
    const key = virtualServerKey(identity);
    const revision = virtualServers.revision(key);
    const found = await tryReadVirtualServer(ipvs, identity, onUnreadable);
    if (found === 'unreadable') continue;
    virtualServers.read(identity, found, { isAdopted: adoptForeign(identity), revision });
    reread.add(key);
  }
  return reread;
};
