import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { bookmark, statusObject, watched } from './api-responses.js';
import type { Fault } from './api-faults.js';
import type { ApiObject, ApiObjects, HistoryEntry, Kind, Selector } from './api-objects.js';

/** Writes a stream of events or items, and lets a fault befall it after so many of them. */
export class Outlet {
  #written = 0;
  #stuck = false;

  constructor(
    private readonly response: ServerResponse,
    private readonly fault: Fault | undefined,
  ) {}

  async write(text: string): Promise<void> {
    if (this.#stuck) return;
    const { fault } = this;
    if (fault !== undefined && 'after' in fault && fault.after === this.#written)
      await this.#strike(fault, text);
    this.#written += 1;
    if (!this.#stuck) await this.#send(text);
  }

  async end(text = ''): Promise<void> {
    if (this.#stuck) return;
    const { fault } = this;
    if (fault !== undefined && 'after' in fault && fault.after >= this.#written && fault.fault !== 'garbage')
      await this.#strike(fault, text || '{"type":"ADDED"}');
    if (this.#stuck) return;
    if (text !== '') await this.#send(text);
    this.response.end();
  }

  /** To be called when nothing more is at hand: a fault due by now strikes. */
  async idle(): Promise<void> {
    const { fault } = this;
    if (this.#stuck || fault === undefined || !('after' in fault) || fault.after !== this.#written) return;
    await this.#strike(fault, '{"type":"ADDED","object":{"kind":"Service"}}\n');
    this.#written += 1;
  }

  async #send(text: string): Promise<void> {
    if (this.fault?.fault === 'twice' && text.startsWith('{"type"')) this.response.write(text);
    if (this.fault?.fault !== 'slow') {
      this.response.write(text);
      return;
    }
    const bytes = Buffer.from(text);
    for (let start = 0; start < bytes.length; start += this.fault.pieceBytes) {
      this.response.write(bytes.subarray(start, start + this.fault.pieceBytes));
      await delay(this.fault.milliseconds);
    }
  }

  async #strike(fault: Extract<Fault, { after: number }>, next: string): Promise<void> {
    const half = next.slice(0, Math.ceil(next.length / 2));
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
        this.response.write('{"type":"ADDED","object":{"met\n');
        return;
      case 'half-and-end':
        this.response.end(half);
        return;
      case 'end':
        this.response.end();
        return;
      case 'error-event': {
        const status = { code: fault.status, reason: fault.reason, message: `planned ${fault.reason}` };
        this.response.end(`${JSON.stringify({ type: 'ERROR', object: statusObject(status) })}\n`);
        return;
      }
      case 'endless-line':
        this.response.write('{"type":"ADDED","object":"');
        while (!this.response.destroyed) {
          this.response.write('x'.repeat(fault.pieceBytes));
          await delay(1);
        }
    }
  }
}

/** The events of one watch, written one after the other. */
export class WatchStream {
  readonly #queue: string[] = [];
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
      for (let text = this.#queue.shift(); text !== undefined; text = this.#queue.shift())
        await this.outlet.write(text);
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
    this.#push({ type, object: watched(object) });
  }

  #push(event: object): void {
    this.#queue.push(`${JSON.stringify(event)}\n`);
    this.#wake();
  }
}
