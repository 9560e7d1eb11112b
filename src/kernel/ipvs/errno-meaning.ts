import type { IpvsOperation, Outcome } from '../../model/operation.js';
import { formatOperation } from '../../model/plan-entry.js';

type Meanings = Readonly<Record<string, string>>;

const outOfRange = 'the weight is above 2147483647, or the lower threshold above the upper one';
const noVirtualServer = 'there is no such virtual server';
const noRealServer = 'there is no such real server';

/** net/netfilter/ipvs/ip_vs_ctl.c: what an error number means for each operation, since IPVS sends no text. */
const meanings: Readonly<Record<IpvsOperation['kind'], Meanings>> = {
  'add-virtual-server': { EEXIST: 'the virtual server exists already' },
  'update-virtual-server': { ESRCH: noVirtualServer },
  'delete-virtual-server': { ESRCH: noVirtualServer },
  'add-real-server': {
    ESRCH: noVirtualServer,
    EEXIST: 'the real server exists already',
    ERANGE: outOfRange,
    EINVAL:
      'the address is not one a real server can have here, or the network namespace has no local routes yet',
  },
  'update-real-server': { ESRCH: noVirtualServer, ENOENT: noRealServer, ERANGE: outOfRange },
  'delete-real-server': { ESRCH: noVirtualServer, ENOENT: noRealServer },
};

const meaningOf = (operation: IpvsOperation, errno: string): string | undefined => {
  if (errno === 'EPERM') return 'this needs CAP_NET_ADMIN';
  if (errno === 'ENOENT' && 'scheduler' in operation.server)
    return `the kernel has no scheduler ${JSON.stringify(operation.server.scheduler)}`;
  return meanings[operation.kind][errno];
};

/** The outcome of an operation, with the meaning of its error number in IPVS. */
export const withErrnoMeaning = (operation: IpvsOperation | undefined, outcome: Outcome): Outcome => {
  if (outcome.status !== 'failed' || operation === undefined) return outcome;
  const meaning = meaningOf(operation, outcome.errno);
  if (meaning === undefined) return outcome;
  return { ...outcome, message: `${formatOperation(operation)}: ${outcome.errno}, ${meaning}` };
};
