import type { Operation, Outcome } from '../model/operation.js';

/**
 * What an answer of the kernel means for an operation:
 * - `applied`: the kernel now is as the operation wants it
 * - `reread`: our picture of the object was wrong; read it again and decide anew
 * - `retry`: the kernel refused; try again later, with backoff
 */
export type Decision = 'applied' | 'reread' | 'retry';

/** Errno names that mean something other than `retry`, by operation (net/netfilter/ipvs/ip_vs_ctl.c, net/ipv4/devinet.c, net/ipv6/addrconf.c). */
const meanings: Readonly<Record<Operation['kind'], Readonly<Record<string, Decision>>>> = {
  'add-virtual-server': { EEXIST: 'reread' },
  'update-virtual-server': { ESRCH: 'reread' },
  'delete-virtual-server': { ESRCH: 'applied' },
  'add-real-server': { EEXIST: 'reread', ESRCH: 'reread' },
  'update-real-server': { ENOENT: 'reread', ESRCH: 'reread' },
  'delete-real-server': { ENOENT: 'applied', ESRCH: 'reread' },
  'add-element': {},
  'delete-element': {},
  'bind-address': { EEXIST: 'applied' },
  'unbind-address': { EADDRNOTAVAIL: 'applied', ENODEV: 'applied' },
};

export const decide = (operation: Operation, outcome: Outcome): Decision => {
  switch (outcome.status) {
    case 'applied':
      return 'applied';
    case 'unknown':
      // An address or an element is not read by itself: done once more, it tells whether it was done.
      return 'address' in operation || 'element' in operation ? 'retry' : 'reread';
    case 'failed':
      return meanings[operation.kind][outcome.errno] ?? 'retry';
  }
};
