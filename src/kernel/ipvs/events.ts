import { EventSocket } from '../../netlink/event-socket.js';
import { ControlCommand, controlFamily, genericHeader } from '../../netlink/generic-family.js';
import type { Message } from '../../netlink/message.js';
import { familyName } from './attributes.js';

/** net/netlink/genetlink.c: the id of the controller's group "notify" is that of the controller. */
const notifyGroup = controlFamily.id;

export interface IpvsPresenceListener {
  /** The module ip_vs was loaded, or is being unloaded. */
  changed(): void;
  /** The kernel dropped events because the receive buffer was full. */
  lost(): void;
  /** The socket failed, or a method of the listener threw. */
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

/** Watches for loads and unloads of IPVS. Throws a NetlinkError where the socket cannot be opened. */
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
