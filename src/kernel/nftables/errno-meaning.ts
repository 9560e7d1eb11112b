import type { Request } from '../../netlink/message.js';
import { NftablesMessage } from './attributes.js';

type Meanings = Readonly<Record<string, string>>;

const noNftables = 'the kernel has no nftables, or not for this family';
const otherHook = 'there is a chain of that name with another type, hook or priority';

/** net/netfilter/nf_tables_api.c: what an error number means for a message, since the kernel seldom sends a text. */
const meanings: ReadonlyMap<number, Meanings> = new Map<number, Meanings>([
  [NftablesMessage.newTable, { EOPNOTSUPP: noNftables, EAFNOSUPPORT: noNftables }],
  [NftablesMessage.deleteTable, { ENOENT: 'there is no such table' }],
  [
    NftablesMessage.newSet,
    { EEXIST: 'there is a set of that name with other keys', ENOENT: 'there is no such table' },
  ],
  [
    NftablesMessage.newChain,
    {
      EEXIST: otherHook,
      // Newer kernels
      EOPNOTSUPP: otherHook,
      ENOENT: 'the kernel has no chains of that type for this family',
    },
  ],
  [
    NftablesMessage.newRule,
    {
      ENOENT:
        'it refers to a set or chain that does not exist, or to an expression that the kernel does not have',
      EOPNOTSUPP: 'the kernel cannot do this in a chain of that type or hook',
    },
  ],
  [
    NftablesMessage.newElements,
    {
      ENOENT: 'there is no such set, or no chain that an element goes to',
      EEXIST: 'an element is there with another verdict',
    },
  ],
  [NftablesMessage.deleteElements, { ENOENT: 'there is no such set, or an element is not in it' }],
]);

/** The meaning of a refusal; undefined where its name says enough. `request` is the message at fault, if known. */
export const meaningOf = (request: Request | undefined, errno: string): string | undefined => {
  if (errno === 'EPERM') return 'this needs CAP_NET_ADMIN';
  if (request === undefined) return errno === 'EOPNOTSUPP' ? noNftables : undefined;
  return meanings.get(request.type)?.[errno];
};
