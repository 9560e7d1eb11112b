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

/** The socket is not available; the message says why. */
export class AdminSocketError extends BaseError {
  constructor(
    message: string,
    /** What the operator can do about it. */
    readonly remedy?: string,
  ) {
    super(message);
  }
}

/** This user may not create the directory or the socket. */
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

/** Few clients connect: people and their tools. */
const maximumConnections = 32;

/** The largest response takes a second; a client that has not read its response by then is disconnected. */
const maximumResponseMilliseconds = 60_000;

const statOf = (path: string): Stats | undefined => {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
};

/** Whether a process listens at the path. */
const isListening = async (path: string): Promise<boolean> => {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    // A process that is too busy to accept, or accepts only other users, listens all the same.
    return codeOf(error) !== 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
};

/** Throws unless the path is free or a socket that no process serves. */
const checkPathIsFree = async (path: string): Promise<void> => {
  const present = statOf(path);
  if (present === undefined) return;
  if (!present.isSocket()) throw new AdminSocketError(`${path} is there and is no socket; it is left alone`);
  if (await isListening(path))
    throw new AdminSocketError(`another process serves ${path}; is a second kube-ipvs running here?`);
};

/**
 * Listens in a new directory that only this user may enter, and then moves the socket to its path: no client sees a socket
 * that is not ready or has other permissions, and Node, when it closes the server, does not unlink the socket of another
 * process.
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
 * The connected clients. One too many closes the connection that has sent no request for longest, or else the one whose
 * response has taken longest: a new request is answered however many connections are idle.
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

  /** Rejects with an AdminSocketError if another process serves the path. Replaces a socket that no process serves. */
  static async open(path: string, handler: Handler, log: Logger): Promise<AdminSocket> {
    const server = limitedServer(handler, log);
    try {
      return new AdminSocket(server, path, await listenAt(server, path));
    } catch (error) {
      server.close();
      throw socketError(error, path);
    }
  }

  /** Removes the socket, unless another process has replaced it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const present = statOf(this.path);
    if (present?.ino === this.file.ino && present.dev === this.file.dev) unlinkSync(this.path);
    await closeServer(this.server);
  }
}
