import { ProtocolError } from '../../netlink/errors.js';

/** libnftnl, include/libnftnl/udata.h: NFTNL_UDATA_RULE_COMMENT, NFTNL_UDATA_SET_ELEM_COMMENT and NFTNL_UDATA_SET_*: data that nft keeps in objects. */
export const UserData = {
  ruleComment: 0,
  elementComment: 0,
  setKeyByteOrder: 0,
  setDataByteOrder: 1,
  setComment: 7,
} as const;

/** nft, include/datatype.h: BYTEORDER_*, in the machine's order; `invalid` is for concatenations. */
export const byteOrder = (order: 'invalid' | 'host' | 'big-endian'): Uint8Array =>
  new Uint8Array(Uint32Array.of({ invalid: 0, host: 1, 'big-endian': 2 }[order]).buffer);

/** libnftnl, src/udata.c: type, length, value, without padding. */
export const writeUserData = (entries: readonly (readonly [type: number, value: Uint8Array])[]): Uint8Array =>
  Buffer.concat(entries.flatMap(([type, value]) => [Uint8Array.of(type, value.length), value]));

const maxCommentBytes = 127;

/** The value of a comment: its text with a NUL. A comment that nft cannot show is a ProtocolError. */
export const commentBytes = (comment: string): Uint8Array => {
  const bytes = new TextEncoder().encode(comment);
  if (bytes.length > maxCommentBytes)
    throw new ProtocolError(`a comment has at most ${maxCommentBytes} bytes, here ${bytes.length}`);
  return Uint8Array.of(...bytes, 0);
};

/** The comment in user data; undefined without one, and for data that is not in nft's format. */
export const commentFrom = (userData: Uint8Array | undefined, type: number): string | undefined => {
  const bytes = userData ?? new Uint8Array(0);
  let at = 0;
  while (at + 2 <= bytes.length) {
    const length = bytes[at + 1] ?? 0;
    const value = bytes.subarray(at + 2, at + 2 + length);
    if (bytes[at] === type) return new TextDecoder().decode(value).replace(/\0.*$/s, '');
    at += 2 + length;
  }
  return undefined;
};
