import { deadSocketErrnos, NetlinkError } from '../../netlink/errors.js';
import type { Operation, Outcome } from '../../model/operation.js';
import type { ReadError } from '../mirror/kernel-reader.js';

/**
 * What an answer of the kernel means for an operation:
 * - `applied`: the kernel now is as the operation wants it
 * - `reread`: our picture of the object was wrong; read it again and decide anew
 * - `retry-soon`: the kernel was disturbed; try again in a moment, with delays that grow from there
 * - `retry`: the kernel lacks something that may come (memory, a right); try again with growing delays
 * - `give-up`: the kernel will not do this, whatever we wait for: left until the object changes or the next resync begins
 * - `ensure-device`: kube-ipvs0 is not there; make it, then try again
 * - `reopen`: the socket is of no use any more, nor was another one; the connection opens one more with the next try, in a moment
 */
export type Decision = 'applied' | 'reread' | 'retry-soon' | 'retry' | 'give-up' | 'ensure-device' | 'reopen';

/** A decision after which the object is not as it is wanted. */
export type Refusal = Exclude<Decision, 'applied'>;

/** Errno names by what they mean for every operation that says nothing else below. One that is named nowhere means `retry`. */
export const commonMeanings: Readonly<Partial<Record<Refusal, readonly string[]>>> = {
  // A signal, a lock, or a table that changes.
  'retry-soon': ['EINTR', 'EAGAIN', 'EBUSY', 'ERESTART'],
  // Memory, buffers, room in a set, descriptors, rights that somebody may give.
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
  // Values and families that this kernel does not take. EDOM is our own word: a value that does not fit its attribute.
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
 * What single operations mean otherwise (net/netfilter/ipvs/ip_vs_ctl.c, net/ipv4/devinet.c, net/ipv6/addrconf.c,
 * net/netfilter/nf_tables_api.c). A virtual server's ENOENT is a scheduler that the kernel does not have: where it is the
 * whole of IPVS that has gone, the client says so by an IpvsUnloadedError instead.
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
  // EADDRNOTAVAIL: an IPv6 address that no interface but the loopback can have.
  'bind-address': {
    EEXIST: 'applied',
    ENODEV: 'ensure-device',
    ENONET: 'ensure-device',
    EADDRNOTAVAIL: 'give-up',
  },
  'unbind-address': { EADDRNOTAVAIL: 'applied', ENODEV: 'applied', ENONET: 'applied' },
};

const common: ReadonlyMap<string, Refusal> = new Map(
  Object.entries(commonMeanings).flatMap(([decision, errnos]) =>
    errnos.map((errno): [string, Refusal] => [errno, decision as Refusal]),
  ),
);

/** Whether waiting does not mend it, whatever was asked. */
export const isPermanent = (errno: string): boolean => common.get(errno) === 'give-up';

/** What an errno means for a kind of operation. */
export const meaningOf = (kind: Operation['kind'], errno: string): Decision =>
  operationMeanings[kind][errno] ?? common.get(errno) ?? 'retry';

/**
 * What an errno means for a read of one virtual server, or of its real servers, where that is not what it means for operations.
 * It costs that virtual server alone. What is not there is no error: the clients know its errno. A dump that changed while it was
 * read has begun anew many times before it is EINTR. Other reads cost more: the elements of a family of packet rules cost their
 * family (PacketRules), links and addresses their news, and the list of virtual servers the sync (both are told and tried again
 * with growing delays by Trouble).
 */
export const readMeanings: Meanings<Refusal> = {
  // No table is full: there was no room for this answer.
  ENOMEM: 'retry-soon',
  ENOBUFS: 'retry-soon',
};

/** An answer that is none in our words may have been damaged. */
export const meaningOfRead = (error: ReadError): Refusal => {
  if (!(error instanceof NetlinkError)) return 'retry';
  return readMeanings[error.errno] ?? common.get(error.errno) ?? 'retry';
};

export const decide = (operation: Operation, outcome: Outcome): Decision => {
  switch (outcome.status) {
    case 'applied':
      return 'applied';
    case 'unknown':
      // An address or an element is not read by itself: done once more, it tells whether it was done.
      return 'address' in operation || 'element' in operation ? 'retry-soon' : 'reread';
    case 'failed':
      return meaningOf(operation.kind, outcome.errno);
  }
};
