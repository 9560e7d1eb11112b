import { EventSocket } from '../../netlink/event-socket.js';
import { ControlCommand, controlFamily, genericHeader } from '../../netlink/generic-family.js';
import type { Message } from '../../netlink/message.js';
import { familyName } from './attributes.js';

/** net/netlink/genetlink.c: the controller's group "notify" has the number of the controller. */
const notifyGroup = controlFamily.id;

export interface IpvsPresenceListener {
  /** The module ip_vs was loaded, or is being unloaded. */
  changed(): void;
  /** The kernel had no room for some events. */
  lost(): void;
  /** The socket is of no use any more, or what was called here threw. */
  failed(error: Error): void;
}

const isAboutIpvs = (message: Message): boolean => {
  if (message.type !== controlFamily.id) return false;
  const { command } = genericHeader.read(message.view, message.bodyOffset, genericHeader.length);
  return (
    (command === ControlCommand.newFamily || command === ControlCommand.deleteFamily) &&
    controlFamily.decode(message).familyName === familyName
  );
};

/** Tells when IPVS comes and goes as a whole. Throws a NetlinkError where the socket cannot be opened. */
export const watchIpvsPresence = (listener: IpvsPresenceListener): EventSocket => {
  return EventSocket.open('generic', [notifyGroup], {
    shapeOf: controlFamily.shapeOf,
    message: (message) => {
      if (isAboutIpvs(message)) listener.changed();
    },
    lost: () => listener.lost(),
    failed: (error) => listener.failed(error),
  });
};
