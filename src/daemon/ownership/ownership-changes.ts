import type { VirtualServerKey } from '../../model/virtual-server.js';

export interface OwnershipChanges {
  /** The virtual servers whose owner may have changed. */
  readonly keys: ReadonlySet<VirtualServerKey>;
  readonly foreign: ReadonlySet<VirtualServerKey>;
}

/** Returns the changes since the last call: every virtual server that is or was foreign. */
export const ownershipChanges = (foreignKeys: () => Iterable<VirtualServerKey>): (() => OwnershipChanges) => {
  let before: ReadonlySet<VirtualServerKey> = new Set();
  return () => {
    const foreign = new Set(foreignKeys());
    const keys = before.size === 0 ? foreign : new Set([...before, ...foreign]);
    before = foreign;
    return { keys, foreign };
  };
};
