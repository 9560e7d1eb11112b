import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiEvent, Encoding } from './api-encoding.js';
import { bookmark, statusObject } from './api-responses.js';
import type { Fault } from './api-faults.js';
import type { ApiObject, ApiObjects, HistoryEntry, Kind, Selector } from './api-objects.js';

/** Writes a stream of events or items, and lets a fault befall it after so many of them. */
export class Outlet {
  #written = 0;
  #stuck = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly encoding: Encoding,
    private readonly fault: Fault | undefined,
  ) {}

  event(event: ApiEvent): Promise<void> {
    return this.write(this.encoding.event(event), { mayRepeat: true });
  }

  async write(bytes: Buffer, { mayRepeat = false } = {}): Promise<void> {
    if (this.#stuck) return;
    const { fault } = this;
    if (fault !== undefined && 'after' in fault && fault.after === this.#written)
      await this.#strike(fault, bytes);
    this.#written += 1;
    if (this.#stuck) return;
    if (mayRepeat && fault?.fault === 'twice') this.response.write(bytes);
    await this.#send(bytes);
  }

  async end(bytes: Buffer = Buffer.alloc(0)): Promise<void> {
    if (this.#stuck) return;
    const { fault } = this;
    if (fault !== undefined && 'after' in fault && fault.after >= this.#written && fault.fault !== 'garbage')
      await this.#strike(fault, bytes.length > 0 ? bytes : this.encoding.garbage);
    if (this.#stuck) return;
    if (bytes.length > 0) await this.#send(bytes);
    this.response.end();
  }

  /** To be called when nothing more is at hand: a fault due by now strikes. */
  async idle(): Promise<void> {
    const { fault } = this;
    if (this.#stuck || fault === undefined || !('after' in fault) || fault.after !== this.#written) return;
    await this.#strike(fault, this.encoding.garbage);
    this.#written += 1;
  }

  async #send(bytes: Buffer): Promise<void> {
    if (this.fault?.fault !== 'slow') {
      this.response.write(bytes);
      return;
    }
    for (let start = 0; start < bytes.length; start += this.fault.pieceBytes) {
      this.response.write(bytes.subarray(start, start + this.fault.pieceBytes));
      await delay(this.fault.milliseconds);
    }
  }

  async #strike(fault: Extract<Fault, { after: number }>, next: Buffer): Promise<void> {
    const half = next.subarray(0, Math.ceil(next.length / 2));
    this.#stuck = fault.fault !== 'garbage';
    switch (fault.fault) {
      case 'cut':
        this.response.write(half, () => this.response.destroy());
        return;
      case 'reset':
        // What was written before has to leave first.
        this.response.write('\n', () => this.response.socket?.resetAndDestroy());
        return;
      case 'silence':
        return;
      case 'garbage':
        this.response.write(this.encoding.garbage);
        return;
      case 'half-and-end':
        this.response.end(half);
        return;
      case 'end':
        this.response.end();
        return;
      case 'error-event': {
        const status = { code: fault.status, reason: fault.reason, message: `planned ${fault.reason}` };
        this.response.end(this.encoding.event({ type: 'ERROR', object: statusObject(status) }));
        return;
      }
      case 'endless-line':
        this.response.write(this.encoding.endless);
        return this.#writeForever(Buffer.alloc(fault.pieceBytes, 'x'));
    }
  }

  /** Until the client leaves, as fast as it reads. */
  #writeForever(piece: Buffer): void {
    const write = (): void => {
      while (!this.response.destroyed && this.response.write(piece)) continue;
    };
    this.response.on('drain', write);
    write();
  }
}

/** The events of one watch, written one after the other. */
export class WatchStream {
  readonly #queue: ApiEvent[] = [];
  #wake: () => void = () => {};
  #ended = false;

  constructor(
    private readonly kind: Kind,
    private readonly selector: Selector,
    private readonly objects: ApiObjects,
    private readonly outlet: Outlet,
  ) {}

  initial({ endMark }: { readonly endMark: boolean }): void {
    for (const object of this.objects.list(this.kind).filter(this.selector)) this.#event('ADDED', object);
    if (endMark) this.#push(bookmark(this.kind, this.objects.version, true));
  }

  /** An object that leaves the selector is deleted for this watch, with what it was before. */
  add({ before, after, last }: HistoryEntry): void {
    const was = before !== undefined && this.selector(before);
    const is = after !== undefined && this.selector(after);
    if (is) this.#event(was ? 'MODIFIED' : 'ADDED', after);
    else if (was)
      this.#event('DELETED', {
        ...before,
        metadata: { ...before.metadata, resourceVersion: String(last.metadata.resourceVersion) },
      });
  }

  bookmark(): void {
    this.#push(bookmark(this.kind, this.objects.version, false));
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async run(): Promise<void> {
    for (;;) {
      for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift())
        await this.outlet.event(event);
      await this.outlet.idle();
      if (this.#queue.length > 0) continue;
      if (this.#ended) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    await this.outlet.end();
  }

  #event(type: string, object: ApiObject): void {
    this.#push({ type, object });
  }

  #push(event: ApiEvent): void {
    this.#queue.push(event);
    this.#wake();
  }
}
