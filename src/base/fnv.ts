/** The 32-bit FNV-1a hash of the bytes from `start` to `end`. Source: draft-eastlake-fnv. */
export const fnv1a = (bytes: Uint8Array, start = 0, end = bytes.length): number => {
  let hash = 0x811c9dc5;
  for (let index = start; index < end; index += 1) hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  return hash >>> 0;
};
