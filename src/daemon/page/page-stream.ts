import { Readable } from 'node:stream';
import type { PageChunk, PageLoad, PageSample, PageServer } from '../../admin-api/page.js';
import type { PageRows, RowChange } from './page-rows.js';

/** The last complete sample. */
export interface SampleState {
  readonly number: number;
  readonly sample: PageSample;
  readonly rows: PageRows;
}

const chunkRows = 200;
const highWaterMark = 64 * 1024;

/** How long making a chunk may block the event loop. */
const maximumBlockingMilliseconds = 2;
const rowsPerClockCheck = 64;

/** A client that read nothing for so long is gone. */
const stalledMilliseconds = 30_000;

const eventText = (name: 'chunk' | 'sample', data: PageChunk | PageSample): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

interface Pass {
  readonly target: SampleState;
  readonly removed: readonly number[];
  readonly changes: Iterator<RowChange | undefined>;
}

/** Takes the next changes, as many as fit into a chunk; `isLast` at the end. */
const takeChanges = (
  changes: Pass['changes'],
): Pick<PageChunk, 'servers' | 'loads'> & { readonly isLast: boolean } => {
  const servers: PageServer[] = [];
  const loads: (readonly [number, PageLoad])[] = [];
  const started = performance.now();
  for (let count = 1; servers.length < chunkRows && loads.length < chunkRows; count += 1) {
    const { value, done } = changes.next();
    if (done === true) return { servers, loads, isLast: true };
    if (value?.server !== undefined) servers.push(value.server);
    if (value?.load !== undefined) loads.push([value.id, value.load]);
    if (count % rowsPerClockCheck === 0 && performance.now() - started > maximumBlockingMilliseconds) break;
  }
  return { servers, loads, isLast: false };
};

/**
 * The server-sent events of one page: first everything, then the changes of each sample. It makes them while the client reads,
 * so a slow client costs no memory and skips samples.
 */
export class PageStream extends Readable {
  #sent = 0;
  #last: SampleState | undefined;
  #pass: Pass | undefined;
  #wantsData = false;
  #readAt = performance.now();

  constructor(private readonly onEnd: (stream: PageStream) => void) {
    super({ highWaterMark });
  }

  /** Called after each sample. */
  notify(state: SampleState): void {
    this.#last = state;
    if (!this.#wantsData && performance.now() - this.#readAt > stalledMilliseconds) this.destroy();
    else this.#pump();
  }

  override _read(): void {
    this.#wantsData = true;
    this.#readAt = performance.now();
    this.#pump();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#pass = undefined;
    this.onEnd(this);
    callback(error);
  }

  #pump(): void {
    if (!this.#wantsData || this.destroyed) return;
    const pass = (this.#pass ??= this.#nextPass());
    if (pass === undefined) return;
    this.#wantsData = false;
    const { isLast, ...changes } = takeChanges(pass.changes);
    const removed = isLast ? pass.removed : [];
    const isEmpty = changes.servers.length + changes.loads.length + removed.length === 0;
    const chunk = isEmpty ? '' : eventText('chunk', { ...changes, removed });
    if (isLast) this.#endPass(pass);
    const text = chunk + (isLast ? eventText('sample', pass.target.sample) : '');
    // An unchanged part of a large table is empty: the next part follows once the event loop has run.
    if (text === '') setImmediate(() => this._read());
    else this.push(text);
  }

  #nextPass(): Pass | undefined {
    const target = this.#last;
    if (target === undefined || target.number <= this.#sent) return undefined;
    if (!target.rows.knowsSince(this.#sent)) {
      this.destroy();
      return undefined;
    }
    return {
      target,
      removed: target.rows.removedSince(this.#sent),
      changes: target.rows.changesSince(this.#sent)[Symbol.iterator](),
    };
  }

  #endPass({ target }: Pass): void {
    this.#sent = target.number;
    this.#pass = undefined;
  }
}
