import type { Server } from 'node:http';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { Handler } from './http-response.js';
import { serverFor } from './http-response.js';
import { closeServer, listenAtBindAddress, parseBindAddress } from './listen.js';

export interface RestartingServerOptions {
  /** For the log: `health` or `metrics`. */
  readonly name: string;
  /** As `0.0.0.0:10256`. */
  readonly bindAddress: string;
  readonly handler: Handler;
  readonly log: Logger;
}

const retryMilliseconds = 5_000;

/** An HTTP server that retries until it can listen. */
export class RestartingServer implements AsyncDisposable {
  #server: Server | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #failure = new StateLog();
  #stopped = false;

  constructor(private readonly options: RestartingServerOptions) {}

  /** Resolves when the server listens; rejects with a ListenError. */
  async open(): Promise<void> {
    const { bindAddress, handler, log, name } = this.options;
    const server = serverFor(handler, log);
    this.#server = server;
    await listenAtBindAddress(server, parseBindAddress(bindAddress));
    if (this.#stopped) return closeServer(server);
    log.info({ event: 'server-listening', server: name, address: bindAddress }, 'Server listening');
    this.#failure.end('');
  }

  /** Like `open`, but retries, and logs each reason once. */
  async openWithRetries(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      this.#retry(messageOf(error));
    }
  }

  #retry(error: string): void {
    const { log, name } = this.options;
    if (this.#stopped) return;
    this.#failure.begin('', error, () =>
      log.error(
        { event: 'server-not-listening', server: name, error },
        'Server cannot listen; retrying every 5 s',
      ),
    );
    this.#timer = setTimeout(() => void this.openWithRetries(), retryMilliseconds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#server?.listening === true) await closeServer(this.#server);
  }
}
