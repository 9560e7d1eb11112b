import { BaseError, messageOf } from '../../base/errors.js';
import type { Look } from '../finding.js';

/** Why something could not be looked at, with what helps. */
export class UnseenError extends BaseError {
  constructor(
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

const asRoot = 'run it as root (sudo kube-ipvs doctor), or in a container with the capability NET_ADMIN';

/** Names of errors of Node and of netlink that mean: not for us. */
const isRefusal = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false;
  const names: readonly unknown[] = ['EPERM', 'EACCES'];
  return ('errno' in error && names.includes(error.errno)) || ('code' in error && names.includes(error.code));
};

const remedyFor = (error: unknown): string => {
  if (error instanceof UnseenError) return error.remedy;
  return isRefusal(error) ? asRoot : 'tell the developers of kube-ipvs, unless the reason says what to do';
};

/** What the work gives; where it fails, why, and what helps. A failure here makes nothing else unknown. */
export const attempt = async <T>(work: () => T | Promise<T>): Promise<Look<T>> => {
  try {
    return { value: await work() };
  } catch (error) {
    return { unseen: messageOf(error), remedy: remedyFor(error) };
  }
};

/** A client of the kernel that is closed when the work is done. */
export const using = async <C extends { close(): void }, T>(
  open: () => C,
  work: (client: C) => Promise<T>,
): Promise<T> => {
  const client = open();
  try {
    return await work(client);
  } finally {
    client.close();
  }
};
