import type { Acknowledgement } from './acknowledgement.js';
import { hostIsLittleEndian, messageHeaderLength } from './constants.js';
import { NetlinkError, type KernelExplanation } from './errors.js';
import type { Message, Request } from './message.js';

const explanationOf = (
  request: Request,
  acknowledgement: Acknowledgement,
  datagram: DataView,
  offset: number,
): KernelExplanation => {
  const { text, missingType } = acknowledgement;
  const explained = text ?? (missingType === undefined ? undefined : `attribute ${missingType} is missing`);
  if (acknowledgement.offset === undefined) return { text: explained, attributePath: undefined };
  const length = datagram.getUint32(offset, hostIsLittleEndian);
  const message: Message = {
    type: request.type,
    flags: request.flags,
    sequence: 0,
    portId: 0,
    view: datagram,
    bodyOffset: offset + messageHeaderLength,
    bodyLength: length - messageHeaderLength,
  };
  return { text: explained, attributePath: request.shape.pathAt(message, acknowledgement.offset) };
};

/** The error in an acknowledgement, with the path of the attribute of the request that the kernel points at. */
export const refusedRequestError = (
  request: Request,
  acknowledgement: Acknowledgement,
  datagram: DataView,
  offset: number,
): NetlinkError =>
  new NetlinkError(
    request.operation(),
    acknowledgement.errno,
    explanationOf(request, acknowledgement, datagram, offset),
  );
