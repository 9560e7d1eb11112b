import { isIP, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { BaseError } from '../../base/errors.js';

/** Packets to an unreachable server may be lost, and TCP would retry for minutes. */
const connectMilliseconds = 2_000;
/** Including TLS, which is slow on a server that all nodes reconnect to. */
const secureMilliseconds = 10_000;

/** No data came before the deadline. */
export class IdleTimeoutError extends BaseError {}

/** Destroys a request when its deadline passes; the deadline can be moved. */
export class Deadline {
  #timer: NodeJS.Timeout | undefined;
  #expired: IdleTimeoutError | undefined;

  constructor(private readonly kill: (reason: IdleTimeoutError) => void) {}

  set(milliseconds: number): void {
    this.clear();
    this.#timer = setTimeout(() => {
      this.#expired = new IdleTimeoutError(`no data within ${milliseconds / 1000} s`);
      this.kill(this.#expired);
    }, milliseconds);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  /** The actual cause: a destroyed request only reports that it was aborted. */
  explain(error: unknown): unknown {
    return this.#expired ?? error;
  }
}

/** Calls `late` where the socket takes too long to connect after the server's name was resolved. */
export const limitConnectTime = (
  socket: Socket,
  { hostname }: URL,
  onTimeout: (reason: IdleTimeoutError) => void,
): void => {
  if (!socket.connecting) return;
  let timer: NodeJS.Timeout | undefined;
  const limitTime = (what: string, milliseconds: number): void => {
    clearTimeout(timer);
    const reason = new IdleTimeoutError(`no ${what} within ${milliseconds / 1000} s`);
    timer = setTimeout(() => onTimeout(reason), milliseconds);
  };
  const begin = (): void => limitTime('connection', connectMilliseconds);
  if (isIP(hostname.replace(/^\[|\]$/g, '')) === 0) socket.once('lookup', begin);
  else begin();
  const isSecure = socket instanceof TLSSocket;
  if (isSecure) socket.once('connect', () => limitTime('TLS handshake', secureMilliseconds));
  for (const end of [isSecure ? 'secureConnect' : 'connect', 'close'])
    socket.once(end, () => clearTimeout(timer));
};
