import type { Family } from '../../base/ip.js';
import { EventSocket } from '../../netlink/event-socket.js';
import type { Message } from '../../netlink/message.js';
import { NetfilterGroup, Subsystem } from '../nfnetlink.js';
import { NftablesMessage, nftablesShapeOf, ownerShape } from './attributes.js';

export interface NftablesListener {
  /** Something of the table changed; called once for each object that did, so often for one transaction. */
  changed(table: string, family: Family): void;
  /** The kernel had no room for some events: read everything again. */
  lost(): void;
  /** The socket is of no use any more, or what was called here threw. */
  failed(error: Error): void;
}

/** The table that an event is about; undefined for those of other families and those of no table. */
export const tableOfEvent = (
  message: Message,
): { readonly table: string; readonly family: Family } | undefined => {
  if (message.type >> 8 !== Subsystem.nftables || message.type === NftablesMessage.newGeneration)
    return undefined;
  const { header, attributes } = ownerShape.read(message);
  const { table } = attributes;
  if (table === undefined || (header.family !== 'ip' && header.family !== 'ip6')) return undefined;
  return { table, family: header.family === 'ip' ? 'IPv4' : 'IPv6' };
};

/**
 * Tells of every change of the tables of that name, IPv4's and IPv6's, from now on, but for those that `exceptPort` asked
 * for. Throws a NetlinkError where the socket cannot be opened.
 */
export const watchNftables = (
  listener: NftablesListener,
  options: { readonly table: string; readonly ignoredPortId?: number; readonly receiveBufferBytes?: number },
): EventSocket => {
  const { table: watched, ...socketOptions } = options;
  return EventSocket.open('netfilter', [NetfilterGroup.nftables], {
    ...socketOptions,
    shapeOf: nftablesShapeOf,
    message: (message) => {
      const of = tableOfEvent(message);
      if (of?.table === watched) listener.changed(of.table, of.family);
    },
    lost: () => listener.lost(),
    failed: (error) => listener.failed(error),
  });
};
