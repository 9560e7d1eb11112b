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
  /** Whether the Service adopts the virtual server even if another program created it. */
  readonly adoptForeign: (identity: VirtualServerIdentity) => boolean;
  readonly onUnreadable: UnreadableHandler;
}

const noKeys: ReadonlySet<VirtualServerKey> = new Set();

/** Reads the unconfirmed virtual servers and returns the keys of those that could be read. */
export const rereadUnconfirmed = async ({
  ipvs,
  state,
  adoptForeign,
  onUnreadable,
}: RereadParts): Promise<ReadonlySet<VirtualServerKey>> => {
  const { virtualServers } = state;
  if (virtualServers.unconfirmed.size === 0) return noKeys;
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
