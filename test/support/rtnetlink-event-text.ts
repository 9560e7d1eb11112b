import type { RtnetlinkEvent } from '../../src/kernel/rtnetlink/events.js';

/** `link eth0`, `address-gone 10.0.0.1/24`, `route 10.96.0.1`. */
export const rtnetlinkEventText = (event: RtnetlinkEvent): string => {
  if ('link' in event) return `${event.kind} ${event.link.name}`;
  if ('vip' in event) return `${event.kind} ${event.vip}`;
  return `${event.kind} ${event.address.address}/${event.address.prefixLength}`;
};
