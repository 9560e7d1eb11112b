import type { VirtualServerFlag } from '../../model/virtual-server.js';

const portHashFlags: readonly VirtualServerFlag[] = ['mh-port'];
const noFlags: readonly VirtualServerFlag[] = [];

/** Like kube-proxy, hashes the port only with mh, not with sh. `needed`: the flags that the weights need. */
export const flagsOf = (
  scheduler: string,
  needed: readonly VirtualServerFlag[],
): readonly VirtualServerFlag[] => {
  const own = scheduler === 'mh' ? portHashFlags : noFlags;
  return needed.length === 0 ? own : [...new Set([...own, ...needed])].toSorted();
};
