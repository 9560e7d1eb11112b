import type { Touched } from '../../src/plan/diff.js';

/** What any of them names. */
export const allTouched = (parts: readonly Touched[]): Touched => ({
  virtualServers: new Set(parts.flatMap(({ virtualServers }) => [...virtualServers])),
  addresses: new Set(parts.flatMap(({ addresses }) => [...addresses])),
  elements: new Set(parts.flatMap(({ elements }) => [...elements])),
});
