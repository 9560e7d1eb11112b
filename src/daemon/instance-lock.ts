import { once } from 'node:events';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { nativeShims } from '../../native-shims/index.js';
import { sleep } from '../base/async.js';
import { BaseError, InputError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { InstanceNames } from '../model/instance-names.js';
import { SocketLevel, SocketOption } from '../netlink/constants.js';
import { errnoOf } from '../netlink/errors.js';

const { EADDRINUSE, ECONNREFUSED, EAGAIN } = constants.errno;

/** Milliseconds until the next attempt if the holder has just ended, or too many processes wait for it. */
const pause = 200;

/** The process that has the lock. */
interface Holder {
  /** 0 if it is not visible in our process namespace. */
  readonly pid: number;
  readonly user: number;
}

export interface InstanceLockParts {
  /** Whether to wait until another daemon ends, or to fail. */
  readonly waits: boolean;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

const unlocked: Disposable = { [Symbol.dispose]: () => {} };

/** Undefined if the system call fails with one of these numbers. */
const unless = (expected: readonly number[], call: () => number): number | undefined => {
  try {
    return call();
  } catch (error) {
    if (expected.some((errno) => errno === errnoOf(error))) return undefined;
    throw error;
  }
};

/** By struct ucred: process, user and group of the other end (unix(7)). */
const holderOf = (connection: number): Holder => {
  const credentials = new Uint32Array(3);
  nativeShims().readOption(
    connection,
    SocketLevel.socket,
    SocketOption.peerCredentials,
    new Uint8Array(credentials.buffer),
  );
  const [pid = 0, user = 0] = credentials;
  return { pid, user };
};

const textOf = ({ pid }: Holder): string => (pid === 0 ? '' : ` (process ${pid})`);

/** Anyone may take the name, but only root and our own user make us wait. */
const checkUser = ({ user, pid }: Holder): void => {
  if (user !== 0 && user !== process.geteuid?.())
    throw new BaseError(`process ${pid} of user ${user} has the name of the lock`);
};

/** The holder never answers: the kernel closes the connection when the holder ends. */
const untilClosed = async (socket: Socket, signal: AbortSignal): Promise<void> => {
  // A reset is an end, too.
  socket.on('error', () => {}).resume();
  await once(socket, 'close', { signal }).catch(() => {});
};

const waitFor = async (connection: number, { waits, signal, log }: InstanceLockParts): Promise<void> => {
  const socket = new Socket({ fd: connection, readable: true, writable: false });
  try {
    const holder = holderOf(connection);
    checkUser(holder);
    if (!waits)
      throw new InputError(
        `kube-ipvs already runs in this network namespace${textOf(holder)}; stop it, or leave out --once`,
      );
    log.warn(
      { event: 'waiting-for-other-daemon', ...(holder.pid === 0 ? {} : { pid: holder.pid }) },
      'Another kube-ipvs process programs this node; waiting until it ends',
    );
    await untilClosed(socket, signal);
  } finally {
    socket.destroy();
  }
  if (!signal.aborted) log.info({ event: 'other-daemon-ended' }, 'The other kube-ipvs process has ended');
};

/** The lock, once other daemons have ended. */
const lock = async (name: Uint8Array, parts: InstanceLockParts): Promise<Disposable> => {
  const shims = nativeShims();
  while (!parts.signal.aborted) {
    const listening = unless([EADDRINUSE], () => shims.listenAt(name));
    if (listening !== undefined) return { [Symbol.dispose]: () => shims.close(listening) };
    const connection = unless([ECONNREFUSED, EAGAIN], () => shims.connectTo(name));
    if (connection === undefined) await sleep(pause, parts.signal);
    else await waitFor(connection, parts);
  }
  return unlocked;
};

/**
 * Makes this process the only daemon of the instance in this network namespace, until it is disposed of or the process ends. Two
 * daemons would overwrite each other's changes by older ones, and take each other's virtual servers for those of another program.
 * The lock is a Unix socket that listens at an abstract name, which the kernel has once for each network namespace.
 * Resolves when the lock is held, or the signal aborted. Throws an InputError if another daemon runs and we do not wait.
 */
export const lockInstance = async (names: InstanceNames, parts: InstanceLockParts): Promise<Disposable> => {
  try {
    return await lock(new TextEncoder().encode(names.table), parts);
  } catch (error) {
    const isExpected = error instanceof BaseError || errnoOf(error) !== undefined;
    if (!isExpected || error instanceof InputError) throw error;
    parts.log.warn(
      { event: 'instance-lock-unavailable', error: messageOf(error) },
      'A second kube-ipvs process would not be noticed',
    );
    return unlocked;
  }
};
