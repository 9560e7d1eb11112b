import type { VirtualServerIdentity, VirtualServerKey } from '../../model/virtual-server.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import { tryReadVirtualServer, type IpvsReads, type UnreadableHandler } from '../mirror/kernel-reader.js';
import type { EngineState } from '../state/engine-state.js';

export interface ForeignCheckParts {
  readonly ipvs: IpvsReads;
  readonly state: EngineState;
  readonly foreign: Pick<ForeignVirtualServers, 'conflictAt' | 'size'>;
  /** Whether the Service adopts the virtual server even if another program created it. */
  readonly adoptForeign: (identity: VirtualServerIdentity) => boolean;
  readonly onUnreadable: UnreadableHandler;
}

/**
 * Reads the foreign virtual servers that Services define among these keys. A deleted one becomes free, and an
 * adopted one becomes owned unchanged. An unreadable one stays foreign.
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
