/** The schedulers that kernels have. */
export const kernelSchedulers: readonly string[] =
  'rr wrr lc wlc fo ovf lblc lblcr dh sh mh sed nq twos'.split(' ');

/** The ways to tell traffic of this node's pods from other. */
export const detectLocalModes = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'];
