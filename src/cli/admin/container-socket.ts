import { lstatSync } from 'node:fs';
import { defaultAdminSocket } from '../../config/admin-socket.js';
import { processFacts, programs } from '../../doctor/collect/proc.js';

const isSocket = (path: string): boolean => {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return false; // it has ended, has none, or is not for us to see
  }
};

/** A process that may program the kernel of this node has no need to lie about it. */
const hasNetAdmin = (pid: number): boolean => {
  try {
    return processFacts(pid).capabilities.includes('NET_ADMIN');
  } catch {
    return false; // it has ended
  }
};

/**
 * The admin socket of a daemon that runs in a container, as root of its node sees it from outside. Only a process of this network
 * namespace with the capability NET_ADMIN is trusted. Undefined where there is none.
 */
export const containerSocket = (): string | undefined =>
  programs()
    .filter(({ name, pid }) => name === 'kube-ipvs' && hasNetAdmin(pid))
    .map(({ pid }) => `/proc/${pid}/root${defaultAdminSocket}`)
    .find(isSocket);
