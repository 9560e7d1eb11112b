import { deadSocketErrnos, NetlinkError } from '../../netlink/errors.js';
import type { Operation, Outcome } from '../../model/operation.js';
import type { ReadError } from '../mirror/kernel-reader.js';

/**
 * How to handle the kernel's reply to an operation:
 * - `applied`: the kernel is in the state that the operation requests
 * - `reread`: the observed state was wrong; read the object again and compare again
 * - `retry-soon`: a transient error; retry after a short, growing delay
 * - `retry`: the kernel lacks something that may become available (memory, a permission); retry after a
 *   growing delay
 * - `give-up`: waiting does not help; retry only when the object changes or the next resync begins
 * - `ensure-device`: kube-ipvs0 does not exist; create it, then retry
 * - `reopen`: the socket and its replacement failed; the next attempt, after a short delay, opens another one
 */
export type Decision = 'applied' | 'reread' | 'retry-soon' | 'retry' | 'give-up' | 'ensure-device' | 'reopen';

/** A decision that leaves the object different from its desired state. */
export type Refusal = Exclude<Decision, 'applied'>;

/**
 * The meaning of each errno unless `operationMeanings` overrides it. An errno that is not listed means
 * `retry`.
 */
export const commonMeanings: Readonly<Partial<Record<Refusal, readonly string[]>>> = {
  // A signal, a lock, or a table that is changing.
  'retry-soon': ['EINTR', 'EAGAIN', 'EBUSY', 'ERESTART'],
  // Memory, buffers, space in a set, file descriptors, or permissions that the operator may grant.
  retry: [
    'ENOMEM',
    'ENOBUFS',
    'ENOSPC',
    'ENFILE',
    'EMFILE',
    'EPERM',
    'EACCES',
    'ETIMEDOUT',
    'ENETDOWN',
    'EIO',
  ],
  // Values and families that this kernel does not support. kube-ipvs itself reports EDOM for a value that
  // does not fit its attribute.
  'give-up': [
    'EINVAL',
    'ERANGE',
    'EDOM',
    'E2BIG',
    'EMSGSIZE',
    'EOVERFLOW',
    'ENAMETOOLONG',
    'EAFNOSUPPORT',
    'EPROTONOSUPPORT',
    'ESOCKTNOSUPPORT',
    'EOPNOTSUPP',
    'ENOTSUPP',
  ],
  reopen: deadSocketErrnos,
};

type Meanings<Of = Decision> = Readonly<Record<string, Of>>;

/**
 * Exceptions for single operations (net/netfilter/ipvs/ip_vs_ctl.c, net/ipv4/devinet.c, net/ipv4/fib_trie.c,
 * net/ipv6/addrconf.c, net/ipv6/route.c, net/netfilter/nf_tables_api.c). ENOENT for a virtual server means a missing scheduler; if IPVS itself was
 * unloaded, the client throws IpvsUnloadedError instead.
 */
export const operationMeanings: Readonly<Record<Operation['kind'], Meanings>> = {
  'add-virtual-server': { EEXIST: 'reread', ENOENT: 'give-up' },
  'update-virtual-server': { ESRCH: 'reread', ENOENT: 'give-up' },
  'delete-virtual-server': { ESRCH: 'applied' },
  'add-real-server': { EEXIST: 'reread', ESRCH: 'reread' },
  'update-real-server': { ENOENT: 'reread', ESRCH: 'reread' },
  'delete-real-server': { ENOENT: 'applied', ESRCH: 'reread' },
  'add-element': { EEXIST: 'reread', ENOENT: 'reread' },
  'delete-element': { ENOENT: 'reread' },
  // EADDRNOTAVAIL: an IPv6 address that only the loopback interface can have. EEXIST: only a route of ours
  // has the metric of ours.
  'bind-address': {
    EEXIST: 'applied',
    ENODEV: 'ensure-device',
    ENONET: 'ensure-device',
    EADDRNOTAVAIL: 'give-up',
  },
  // ESRCH: no such route.
  'unbind-address': {
    EADDRNOTAVAIL: 'applied',
    ENODEV: 'applied',
    ENONET: 'applied',
    ESRCH: 'applied',
  },
};

const common: ReadonlyMap<string, Refusal> = new Map(
  Object.entries(commonMeanings).flatMap(([decision, errnos]) =>
    errnos.map((errno): [string, Refusal] => [errno, decision as Refusal]),
  ),
);

/** Whether waiting never helps, for any operation. */
export const isPermanent = (errno: string): boolean => common.get(errno) === 'give-up';

/** The meaning of an errno for a kind of operation. */
export const meaningOf = (kind: Operation['kind'], errno: string): Decision =>
  operationMeanings[kind][errno] ?? common.get(errno) ?? 'retry';

/**
 * Exceptions for reads of one virtual server or its real servers. Such an error affects only that virtual
 * server.
 */
export const readMeanings: Meanings<Refusal> = {
  // A read fills no table: the kernel only lacked space for this reply.
  ENOMEM: 'retry-soon',
  ENOBUFS: 'retry-soon',
};

/** An invalid reply may have been corrupted in transit. */
export const meaningOfRead = (error: ReadError): Refusal => {
  if (!(error instanceof NetlinkError)) return 'retry';
  return readMeanings[error.errno] ?? common.get(error.errno) ?? 'retry';
};

export const decide = (operation: Operation, outcome: Outcome): Decision => {
  switch (outcome.status) {
    case 'applied':
      return 'applied';
    case 'unknown':
      // An address or an element is not read individually. Repeating the operation shows whether it was
      // applied.
      return 'address' in operation || 'element' in operation ? 'retry-soon' : 'reread';
    case 'failed':
      return meaningOf(operation.kind, outcome.errno);
  }
};
