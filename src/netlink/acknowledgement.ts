import { attributes, received } from './codec/attributes.js';
import {
  AcknowledgementFlag,
  MessageType,
  align,
  hostIsLittleEndian,
  messageHeaderLength,
} from './constants.js';
import { ProtocolError } from './errors.js';
import type { Message } from './message.js';
import { cstring, rawBytes, u32 } from './codec/scalars.js';

/** include/uapi/linux/netlink.h: enum nlmsgerr_attrs */
export const acknowledgementAttributes = attributes('acknowledgement', {
  text: received(1, cstring),
  offset: received(2, u32),
  cookie: received(3, rawBytes(0, 20)),
  policy: received(4, rawBytes(0, 0xffff)),
  missingType: received(5, u32),
  missingNest: received(6, u32),
});

/** The content of NLMSG_ERROR and NLMSG_DONE. */
export interface Acknowledgement {
  /** 0: success; otherwise a positive error number. */
  readonly errno: number;
  readonly text: string | undefined;
  /** Offset of the attribute at fault, from the request's netlink header. */
  readonly offset: number | undefined;
  /** The type of an attribute that is missing from the request. */
  readonly missingType: number | undefined;
}

const errorNumber = (message: Message): number =>
  Math.abs(message.view.getInt32(message.bodyOffset, hostIsLittleEndian));

/** The length of the request in an NLMSG_ERROR: only its header where the message is capped or reports success. */
const quotedLength = (message: Message, errno: number): number => {
  if (message.bodyLength < 4 + messageHeaderLength)
    throw new ProtocolError(`an acknowledgement has only ${message.bodyLength} bytes`);
  if (errno === 0 || (message.flags & AcknowledgementFlag.capped) !== 0) return messageHeaderLength;
  return align(message.view.getUint32(message.bodyOffset + 4, hostIsLittleEndian));
};

/** Reads an NLMSG_ERROR or NLMSG_DONE; a malformed one is a ProtocolError. */
export const readAcknowledgement = (message: Message): Acknowledgement => {
  if (message.type === MessageType.done && message.bodyLength < 4) return plain(0);
  if (message.bodyLength < 4)
    throw new ProtocolError(`an acknowledgement has only ${message.bodyLength} bytes`);
  const errno = errorNumber(message);
  const start = 4 + (message.type === MessageType.error ? quotedLength(message, errno) : 0);
  if ((message.flags & AcknowledgementFlag.attributes) === 0 || start >= message.bodyLength)
    return plain(errno);
  const { text, offset, missingType } = acknowledgementAttributes.read(
    message.view,
    message.bodyOffset + start,
    message.bodyLength - start,
  );
  return { errno, text, offset, missingType };
};

const plain = (errno: number): Acknowledgement => ({
  errno,
  text: undefined,
  offset: undefined,
  missingType: undefined,
});
