import { jsonFormat } from '../../src/watch/api/body-format.js';
import {
  ApiError,
  type ApiResponse,
  type ApiClient,
  type OpenOptions,
} from '../../src/watch/api/api-client.js';
import { IdleTimeoutError } from '../../src/watch/api/deadlines.js';
import type { FakeClock } from './fake-clock.js';

/** How a server is that cannot be used. */
export type Outage =
  | 'refused'
  | 'unresolvable'
  /** Packets vanish: TCP asks again after a second, and two seconds are all it gets. */
  | 'vanished'
  | { readonly status: number; readonly retryAfter?: string };

const line = (value: object): string => `${JSON.stringify(value)}\n`;

/** The objects of one piece of an answer. A real server's pieces have several, too. */
const pieceLength = 100;

/** The watch events of the first objects of a list, in pieces. */
const pieces = (objects: number): readonly Buffer[] =>
  Array.from({ length: Math.ceil(objects / pieceLength) }, (_, piece) => {
    const first = piece * pieceLength;
    const names = Array.from(
      { length: Math.min(pieceLength, objects - first) },
      (_, index) => `o${first + index}`,
    );
    return Buffer.from(names.map((name) => line({ type: 'ADDED', object: { metadata: { name } } })).join(''));
  });

/** Lists of so many objects, then a watch that goes on until an outage begins; all by a clock that jumps. */
export class FakeApi implements Pick<ApiClient, 'open'> {
  /** When each request came, and for what. */
  readonly requests: { readonly at: number; readonly path: string }[] = [];
  #outage: Outage | undefined;
  #version = 100;
  /** Watches from an older version are refused. */
  #oldest = 0;
  readonly #streams = new Set<AbortController>();
  readonly #list: readonly Buffer[];

  constructor(
    private readonly clock: FakeClock,
    objects: number,
  ) {
    this.#list = pieces(objects);
  }

  /** Begins an outage, in which whatever is open breaks; with undefined, ends it. */
  become(outage: Outage | undefined): void {
    this.#outage = outage;
    if (outage !== undefined) for (const stream of this.#streams) stream.abort();
  }

  /** What others have is too old from now on, as after a restart. */
  restart(): void {
    this.#version += 1_000;
    this.#oldest = this.#version;
  }

  async open(path: string, { signal }: OpenOptions): Promise<ApiResponse> {
    this.requests.push({ at: this.clock.now(), path });
    const outage = this.#outage;
    if (outage === 'refused') throw new Error('connect ECONNREFUSED');
    if (outage === 'unresolvable') throw new Error('getaddrinfo EAI_AGAIN');
    if (outage === 'vanished') await this.#vanish(signal);
    else if (outage !== undefined) throw new ApiError(outage.status, {}, outage.retryAfter);
    const from = new URL(path, 'http://server').searchParams.get('resourceVersion');
    if (from !== null && Number(from) < this.#oldest) throw new ApiError(410, { reason: 'Expired' });
    return this.#answer(from === null, signal);
  }

  async #vanish(signal: AbortSignal): Promise<void> {
    await this.clock.sleep(1_000, signal);
    if (this.#outage === undefined) return;
    await this.clock.sleep(1_000, signal);
    throw new IdleTimeoutError('no connection within 2 s');
  }

  #answer(isList: boolean, signal: AbortSignal): ApiResponse {
    const stream = new AbortController();
    const { clock } = this;
    const list = isList ? this.#list : [];
    const streams = this.#streams;
    const version = String(this.#version);
    streams.add(stream);
    return {
      format: jsonFormat,
      setDeadline: () => {},
      async *[Symbol.asyncIterator]() {
        yield* list;
        const annotations = isList ? { 'k8s.io/initial-events-end': 'true' } : {};
        const metadata = { resourceVersion: version, annotations };
        yield Buffer.from(line({ type: 'BOOKMARK', object: { metadata } }));
        await clock.sleep(1e9, AbortSignal.any([stream.signal, signal]));
        streams.delete(stream);
        throw new Error('ECONNRESET');
      },
    };
  }
}
