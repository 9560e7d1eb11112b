import type { Family } from '../../base/ip.js';
import { EventSocket } from '../../netlink/event-socket.js';
import type { Message } from '../../netlink/message.js';
import { NetfilterGroup, Subsystem } from '../nfnetlink.js';
import { NftablesMessage, nftablesShapeOf, ownerShape } from './attributes.js';

export interface NftablesListener {
  /** Called for each changed object of the table, so often for one transaction. */
  changed(table: string, family: Family): void;
  /** The kernel dropped events because the receive buffer was full: read everything again. */
  lost(): void;
  /** The socket failed, or a method of the listener threw. */
  failed(error: Error): void;
}

/** The table of an event; undefined for other families and for events without a table. */
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
 * Watches for changes of the IPv4 and IPv6 tables of that name, except those that `ignoredPortId` requested. Throws a NetlinkError
 * where the socket cannot be opened.
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
