import { lstatSync } from 'node:fs';
import { processFacts, programs } from '../../doctor/collect/proc.js';

const isSocket = (path: string): boolean => {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return false; // the process has ended, has no socket, or may not be read
  }
};

/** A process with NET_ADMIN can program the kernel anyway: trusting it gives it no further power. */
const hasNetAdmin = (pid: number): boolean => {
  try {
    return processFacts(pid).capabilities.includes('NET_ADMIN');
  } catch {
    return false; // the process has ended
  }
};

/**
 * The admin socket with this path of a daemon in a container, as root on the node reaches it. Only a process of this network namespace with the
 * capability NET_ADMIN is trusted. Undefined where there is none.
 */
export const containerSocket = (path: string): string | undefined =>
  programs()
    .filter(({ name, pid }) => name === 'kube-ipvs' && hasNetAdmin(pid))
    .map(({ pid }) => `/proc/${pid}/root${path}`)
    .find(isSocket);
