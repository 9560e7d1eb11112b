import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  unlinkSync,
  type Stats,
} from 'node:fs';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { BaseError, codeOf, messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { serverFor, type Handler } from '../serving/http-response.js';
import { closeServer } from '../serving/listen.js';

/** The socket cannot be served; the message says why. */
export class AdminSocketError extends BaseError {
  constructor(
    message: string,
    /** What lets us serve it, where the operator can help. */
    readonly remedy?: string,
  ) {
    super(message);
  }
}

/** Errors that mean: this user may not make the directory or the socket. */
const permissionErrors: readonly string[] = ['EACCES', 'EPERM', 'EROFS'];

const socketError = (error: unknown, path: string): AdminSocketError => {
  if (error instanceof AdminSocketError) return error;
  const isRefused = permissionErrors.includes(codeOf(error) ?? '');
  return new AdminSocketError(
    messageOf(error),
    isRefused
      ? `Give user ${process.getuid?.() ?? ''} a directory ${dirname(path)} that it may write to: in a pod, mount an emptyDir ` +
          'there, as deploy/base/daemonset.yaml does. Or choose another place by --admin-socket=PATH; empty: no socket.'
      : undefined,
  );
};

/** There are few who ask: people, and one that waits is one too many soon. */
const maximumConnections = 32;

/** Who has not read an answer by then will not; the biggest takes a second. */
const maximumResponseMilliseconds = 60_000;

const statOf = (path: string): Stats | undefined => {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
};

/** Whether somebody listens there. */
const isListening = async (path: string): Promise<boolean> => {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    // Whoever is too busy to take us, or lets only others in, is there.
    return codeOf(error) !== 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
};

/** Makes sure that the path is free, or held by a socket that nobody serves any more. */
const checkPathIsFree = async (path: string): Promise<void> => {
  const present = statOf(path);
  if (present === undefined) return;
  if (!present.isSocket()) throw new AdminSocketError(`${path} is there and is no socket; it is left alone`);
  if (await isListening(path))
    throw new AdminSocketError(`another process serves ${path}; is a second kube-ipvs running here?`);
};

/**
 * Listens in a new directory, which only this user may enter, and moves the socket to its place: no client meets one that is
 * not ready or has other rights, and what Node unlinks when it closes is not what another program may have put there since.
 */
const listenAt = async (server: Server, path: string): Promise<Stats> => {
  await checkPathIsFree(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(`${path}.`);
  try {
    const fresh = join(folder, 's');
    const listening = once(server, 'listening');
    server.listen(fresh);
    await listening;
    chmodSync(fresh, 0o600);
    renameSync(fresh, path);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return lstatSync(path);
};

/**
 * Those who are connected. Where one is too many, the one goes that has waited longest to ask anything, else the one whose
 * answer takes longest: whoever comes and asks is answered, however many dawdle.
 */
class AdminConnections {
  readonly #idle = new Set<Socket>();
  readonly #active = new Set<Socket>();

  opened(socket: Socket): void {
    this.#idle.add(socket);
    const timer = setTimeout(() => socket.destroy(), maximumResponseMilliseconds);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#idle.delete(socket);
      this.#active.delete(socket);
    });
    if (this.#idle.size + this.#active.size <= maximumConnections) return;
    const [longest] = this.#idle.size > 1 ? this.#idle : this.#active;
    longest?.destroy();
    if (longest === undefined) return;
    this.#idle.delete(longest);
    this.#active.delete(longest);
  }

  requested(socket: Socket): void {
    if (this.#idle.delete(socket)) this.#active.add(socket);
  }
}

const limitedServer = (handler: Handler, log: Logger): Server => {
  const connections = new AdminConnections();
  const server = serverFor((request) => {
    connections.requested(request.socket);
    return handler(request);
  }, log);
  server.maxConnections = maximumConnections * 2;
  server.on('connection', (socket) => connections.opened(socket));
  return server;
};

/** A unix socket that only its owner may use. */
export class AdminSocket implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    private readonly path: string,
    private readonly file: Stats,
  ) {}

  /** Rejects with a AdminSocketError where the place is another's. A socket that nobody serves any more is replaced. */
  static async open(path: string, handler: Handler, log: Logger): Promise<AdminSocket> {
    const server = limitedServer(handler, log);
    try {
      return new AdminSocket(server, path, await listenAt(server, path));
    } catch (error) {
      server.close();
      throw socketError(error, path);
    }
  }

  /** Takes the socket away, unless another process has put its own there. */
  async [Symbol.asyncDispose](): Promise<void> {
    const present = statOf(this.path);
    if (present?.ino === this.file.ino && present.dev === this.file.dev) unlinkSync(this.path);
    await closeServer(this.server);
  }
}
