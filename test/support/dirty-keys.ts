import type { DirtyKeys } from '../../src/plan/operations/diff.js';

/** What any of them names. */
export const mergeDirtyKeys = (parts: readonly DirtyKeys[]): DirtyKeys => ({
  virtualServers: new Set(parts.flatMap(({ virtualServers }) => [...virtualServers])),
  addresses: new Set(parts.flatMap(({ addresses }) => [...addresses])),
  elements: new Set(parts.flatMap(({ elements }) => [...elements])),
});
