/** The schedulers of Linux. */
export const kernelSchedulers: readonly string[] =
  'rr wrr lc wlc fo ovf lblc lblcr dh sh mh sed nq twos'.split(' ');

/** The ways to recognize traffic from this node's pods. */
export const detectLocalModes = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'];
