import type { VirtualServerIdentity, VirtualServerKey } from '../../model/virtual-server.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import { tryReadVirtualServer, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import type { EngineState } from '../state/engine-state.js';

export interface ForeignCheckParts {
  readonly ipvs: IpvsReads;
  readonly state: EngineState;
  readonly foreign: Pick<ForeignVirtualServers, 'conflictAt' | 'size'>;
  /** Whether a virtual server that a Service asks for is to be ours, whoever made it. */
  readonly adoptForeign: (identity: VirtualServerIdentity) => boolean;
  readonly onUnreadable: UnreadableHandler;
}

/**
 * Reads the foreign virtual servers among these that Services ask for: one that is gone is free, and one that a Service adopts
 * becomes ours as it is. One that cannot be read stays foreign.
 */
export const checkForeign = async (
  keys: Iterable<VirtualServerKey>,
  { ipvs, state, foreign, adoptForeign, onUnreadable }: ForeignCheckParts,
): Promise<void> => {
  if (foreign.size === 0) return;
  for (const key of keys) {
    const identity = foreign.conflictAt(key)?.identity;
    if (identity === undefined) continue;
    const revision = state.virtualServers.revision(key);
    const found = await tryReadVirtualServer(ipvs, identity, onUnreadable);
    if (found === 'unreadable') continue;
    state.virtualServers.read(identity, found, { isAdopted: adoptForeign(identity), revision });
  }
};
