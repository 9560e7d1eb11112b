import { nativeShims } from '../../native-shims/index.js';
import { fromSystemCall } from './errors.js';

/**
 * Queries the kernel by getsockopt on a socket of the domain (AF_*): `bytes` holds the query and then the answer, whose length it
 * returns. A NetlinkError where the kernel refuses.
 */
export const querySocketOption = (
  operation: string,
  { domain, level, name }: { readonly domain: number; readonly level: number; readonly name: number },
  bytes: Uint8Array,
): number => {
  try {
    return nativeShims().querySocketOption(domain, level, name, bytes);
  } catch (error) {
    throw fromSystemCall(operation, error);
  }
};
