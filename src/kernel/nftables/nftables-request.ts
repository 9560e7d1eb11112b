import type { ByteWriter } from '../../netlink/codec/bytes.js';
import type { BodyShape, Request } from '../../netlink/message.js';
import type { NetfilterFamily } from '../nfnetlink.js';

interface Shape<Values> extends BodyShape {
  write(writer: ByteWriter, header: { readonly family: NetfilterFamily }, values: Values): void;
}

interface Description<Values> {
  readonly type: number;
  readonly flags?: number;
  /** 'unspecified': of all families. */
  readonly family: NetfilterFamily;
  readonly operation: () => string;
  /** Called when the message is written. */
  readonly values: () => Values;
}

/** A request whose body has the shape. */
export const nftablesRequest = <Values>(
  shape: Shape<Values>,
  { type, flags = 0, family, operation, values }: Description<Values>,
): Request => ({
  type,
  flags,
  operation,
  shape,
  write: (writer) => shape.write(writer, { family }, values()),
});
