import { Backoff, type BackoffOptions } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';

interface EventStream {
  /** Calls `failed` if the socket is dead; no event would report that. */
  checkDescriptor(): void;
  close(): void;
}

export interface SubscriptionOptions {
  /** For the log, such as `links and addresses`. */
  readonly description: string;
  /** Opens the stream, and calls `failed` when it fails. May throw. */
  readonly open: (failed: (error: Error) => void) => EventStream;
  /** Events were missed while the stream was not open. */
  readonly lost: () => void;
  readonly delays: BackoffOptions;
  readonly log: Logger;
}

/** A stream of events that is reopened, with growing delays, whenever it fails. */
export class Subscription implements Disposable {
  readonly #backoff: Backoff;
  #current: EventStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #failure = new StateLog();
  #failures = 0;
  #closed = false;
  #openedAt = performance.now();

  /** Opens the stream, and throws if that fails. */
  constructor(private readonly parts: SubscriptionOptions) {
    this.#backoff = new Backoff(parts.delays);
    this.#current = this.#open();
  }

  /** Checks whether the stream still works. */
  check(): void {
    this.#current?.checkDescriptor();
  }

  /** Replaces a working stream whose options are outdated. */
  reopen(): void {
    if (this.#closed || this.#current === undefined) return;
    this.#close();
    this.#scheduleOpen();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#close();
  }

  /** A stream that fails after it was closed is not the current one. */
  #open(): EventStream {
    const opened = this.parts.open((error) => {
      if (this.#current === opened) this.#failed(error);
    });
    return opened;
  }

  #close(): void {
    this.#current?.close();
    this.#current = undefined;
  }

  #failed(error: unknown): void {
    this.#close();
    const { description, log } = this.parts;
    this.#failures += 1;
    this.#failure.begin('', '', () =>
      log.error(
        { event: 'subscription-failed', subscription: description, error: messageOf(error) },
        'Subscription to kernel events failed; reopening it',
      ),
    );
    this.#scheduleOpen();
  }

  #scheduleOpen(): void {
    // A stream that fails at once after opening does not reset the delays.
    if (performance.now() - this.#openedAt > this.parts.delays.maximumMilliseconds) this.#backoff.reset();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#reopen(), this.#backoff.next());
  }

  #reopen(): void {
    const { description, lost, log } = this.parts;
    try {
      this.#current = this.#open();
    } catch (error) {
      return this.#failed(error);
    }
    this.#failure.end('', () =>
      log.info(
        { event: 'subscription-reopened', subscription: description, failures: this.#failures },
        'Subscription to kernel events reopened',
      ),
    );
    this.#failures = 0;
    this.#openedAt = performance.now();
    lost();
  }
}
