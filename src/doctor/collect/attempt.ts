import { messageOf } from '../../base/errors.js';
import type { Look } from '../finding.js';

const asRoot = 'run it as root (sudo kube-ipvs doctor), or in a container with the capability NET_ADMIN';

const remedies: Readonly<Record<string, string>> = {
  EPERM: asRoot,
  EACCES: asRoot,
  ENOENT: 'see the check ipvs',
};

/** The errno's name, of errors of Node and of netlink. */
const codeOf = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return undefined;
  if ('errno' in error && typeof error.errno === 'string') return error.errno;
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
};

/** What the work gives; where it fails, why, and what helps. A failure here makes nothing else unknown. */
export const attempt = async <T>(work: () => T | Promise<T>): Promise<Look<T>> => {
  try {
    return { value: await work() };
  } catch (error) {
    const code = codeOf(error);
    return { unseen: messageOf(error), remedy: (code !== undefined && remedies[code]) || 'see the reason' };
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
