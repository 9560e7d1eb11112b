import { Backoff, type BackoffOptions } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';

interface EventStream {
  /** Reports it where it is of no use any more, and nothing else would tell. */
  checkDescriptor(): void;
  close(): void;
}

export interface SubscriptionOptions {
  /** For the log: what comes through, as `link and address events`. */
  readonly description: string;
  /** Opens it; calls back when it is of no use any more. May throw. */
  readonly open: (failed: (error: Error) => void) => EventStream;
  /** What came while it was not open is gone. */
  readonly lost: () => void;
  readonly delays: BackoffOptions;
  readonly log: Logger;
}

/** Something that is opened again, after a delay that grows, whenever it fails. */
export class Subscription implements Disposable {
  readonly #backoff: Backoff;
  #current: EventStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #failure = new StateLog();
  #failures = 0;
  #closed = false;
  #openedAt = performance.now();

  /** Opens it now, and throws what that throws. */
  constructor(private readonly parts: SubscriptionOptions) {
    this.#backoff = new Backoff(parts.delays);
    this.#current = this.#open();
  }

  /** Whether it still is of use is looked at. */
  check(): void {
    this.#current?.checkDescriptor();
  }

  /** Another one is opened, in place of one that is as good but for what it was opened with. */
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

  /** What fails after it was closed is not the one that is in use. */
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
    // One that is given up as soon as it is open has no fresh start.
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
