import { readAcknowledgement } from './acknowledgement.js';
import { ByteWriter } from './codec/bytes.js';
import { MessageFlag, MessageType } from './constants.js';
import { ProtocolError, type NetlinkError } from './errors.js';
import { refusedRequestError } from './exchange.js';
import { writeMessage, type Message, type Request } from './message.js';

/** Messages that the kernel performs as a whole. */
export interface TransactionParts {
  readonly begin: Request;
  /** At least one. */
  readonly requests: readonly Request[];
  /** Without it the kernel tries the requests, answers, and undoes them. */
  readonly end: Request | undefined;
}

/** What became of a transaction. `failed`: nothing was done; `place` is that of the request at fault, undefined where it is none of them. */
export type TransactionResult =
  | { readonly status: 'applied' }
  | {
      readonly status: 'failed';
      readonly error: NetlinkError | ProtocolError;
      readonly requestIndex: number | undefined;
    }
  | { readonly status: 'unknown' };

/**
 * The one datagram of a transaction and its answers. The acknowledgement is asked of the last request: not every kernel
 * acknowledges the end. It alone does not mean success, for it also comes where the commit fails, which the kernel tells
 * under the number of the beginning; so any refusal outweighs it.
 */
export class Transaction {
  readonly #all: readonly Request[];
  readonly #writer = new ByteWriter();
  readonly #offsets: number[] = [];
  readonly #refusals = new Map<number, NetlinkError>();
  #acknowledged = false;
  #lost = false;
  /** The answer where a request could not be written: a value does not fit its attribute. */
  readonly unsendable: TransactionResult | undefined;

  /** Messages get the numbers after `previousSequence`. */
  constructor(
    private readonly parts: TransactionParts,
    private readonly previousSequence: number,
  ) {
    this.#all = [parts.begin, ...parts.requests, ...(parts.end === undefined ? [] : [parts.end])];
    this.unsendable = this.#write();
  }

  get messages(): number {
    return this.#all.length;
  }

  get lastSequence(): number {
    return (this.previousSequence + this.#all.length) >>> 0;
  }

  get datagram(): Uint8Array {
    return this.#writer.written();
  }

  handleReply(message: Message, datagram: DataView): void {
    if (message.type !== MessageType.error) return;
    const index = (message.sequence - this.previousSequence - 1) >>> 0;
    const request = this.#all[index];
    const offset = this.#offsets[index];
    if (request === undefined || offset === undefined) return;
    const acknowledgement = readAcknowledgement(message);
    if (acknowledgement.errno !== 0)
      this.#refusals.set(index, refusedRequestError(request, acknowledgement, datagram, offset));
    else if (index === this.parts.requests.length) this.#acknowledged = true;
  }

  /** Something found no place in the receive buffer: it may have been a refusal. */
  markRepliesLost(): void {
    this.#lost = true;
  }

  result(): TransactionResult {
    const [first] = [...this.#refusals].toSorted(([one], [other]) => rank(one) - rank(other));
    if (first !== undefined) {
      const [index, error] = first;
      const requestIndex = index - 1;
      return {
        status: 'failed',
        error,
        requestIndex:
          requestIndex >= 0 && requestIndex < this.parts.requests.length ? requestIndex : undefined,
      };
    }
    return { status: this.#acknowledged && !this.#lost ? 'applied' : 'unknown' };
  }

  #write(): TransactionResult | undefined {
    for (const [index, request] of this.#all.entries()) {
      const acknowledge = index === this.parts.requests.length ? MessageFlag.acknowledge : 0;
      try {
        this.#offsets.push(
          writeMessage(
            this.#writer,
            request,
            request.flags | MessageFlag.request | acknowledge,
            (this.previousSequence + 1 + index) >>> 0,
          ),
        );
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        return { status: 'failed', error, requestIndex: index - 1 };
      }
    }
    return undefined;
  }
}

/** A refusal of the whole, under the number of the beginning, comes after those of single requests. */
const rank = (index: number): number => (index === 0 ? Number.POSITIVE_INFINITY : index);
