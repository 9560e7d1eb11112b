import type { IpAddress } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import type { ElementKey } from '../model/nftables.js';
import { operationTarget, type Operation } from '../model/operation.js';
import type { VirtualServerKey } from '../model/virtual-server.js';
import type { Touched } from '../plan/diff.js';
import type { Refusal } from './decisions.js';
import { tellOfEach } from './news.js';
import { Retries, retryKindOf, type Failure, type RetryDelays } from './retries.js';

/** What an operation is about, and what is tried again when it is refused. */
export type Target =
  | { readonly kind: 'virtual-server'; readonly key: VirtualServerKey }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'element'; readonly key: ElementKey };

export const targetOf = (operation: Operation): Target => {
  if ('address' in operation) return { kind: 'address', address: operation.address };
  if ('element' in operation) return { kind: 'element', key: operation.element.key };
  return { kind: 'virtual-server', key: operationTarget(operation) };
};

export const nameOf = (target: Target): string => (target.kind === 'address' ? target.address : target.key);

export interface RefusalsParts {
  readonly log: Logger;
  /** Milliseconds of a clock that nobody sets. */
  readonly now: () => number;
  readonly delays: RetryDelays | undefined;
}

/** What the kernel refused: tells of it, once for each reason, and knows when it is tried again. */
export class Refusals {
  readonly #retries: Retries<Target>;
  /** Not told yet, each for a reason that is new. */
  #news: { readonly givenUp: boolean; readonly fields: object }[] = [];

  constructor(private readonly parts: RefusalsParts) {
    this.#retries = new Retries(parts.delays);
  }

  /** How many things were refused the last time that they were tried. */
  get size(): number {
    return this.#retries.size;
  }

  /** All of them, by the clock of the parts. */
  failures(): Iterable<Failure> {
    return this.#retries.failures();
  }

  /** By kind, how many of them are left until they change or the next resync begins. */
  get givenUp(): Readonly<Record<Target['kind'], number>> {
    const counts = { 'virtual-server': 0, address: 0, element: 0 };
    for (const { kind } of this.#retries.givenUp()) counts[kind] += 1;
    return counts;
  }

  /** In how many milliseconds something is to be tried again, if anything is. */
  get nextRetry(): number | undefined {
    const due = this.#retries.nextDue;
    return due === undefined ? undefined : Math.max(0, due - this.parts.now());
  }

  note(
    target: Target,
    refusal: Refusal,
    { operation, reason }: { readonly operation: string; readonly reason: string },
  ): void {
    const kind = retryKindOf(refusal);
    if (this.#retries.failed(nameOf(target), target, { kind, reason }, this.parts.now()))
      this.#news.push({ givenUp: kind === 'given-up', fields: { operation, reason } });
  }

  /** What was given up is to be tried now, once. */
  tryGivenUp(): void {
    this.#retries.tryGivenUp(this.parts.now());
  }

  /** The touched keys together with those that are due. */
  withDue(touched: Touched): Touched {
    const virtualServers = new Set(touched.virtualServers);
    const addresses = new Set(touched.addresses);
    const elements = new Set(touched.elements);
    for (const item of this.#retries.due(this.parts.now())) {
      if (item.kind === 'address') addresses.add(item.address);
      else if (item.kind === 'element') elements.add(item.key);
      else virtualServers.add(item.key);
    }
    return { virtualServers, addresses, elements };
  }

  /** What was tried and not refused is as it should be: its backoff starts anew the next time. */
  settle(tried: Touched, refused: ReadonlySet<string>): void {
    if (this.#retries.size === 0) return;
    const settled = [...tried.virtualServers, ...tried.addresses, ...tried.elements]
      .filter((key) => !refused.has(key) && this.#retries.settled(key))
      .map((key) => ({ key }));
    tellOfEach(settled, (fields) =>
      this.parts.log.info(fields, 'what the kernel refused before is done now'),
    );
  }

  tell(): void {
    const news = this.#news;
    this.#news = [];
    const { log } = this.parts;
    const told = (givenUp: boolean): readonly object[] =>
      news.filter((one) => one.givenUp === givenUp).map(({ fields }) => fields);
    tellOfEach(told(false), (fields) =>
      log.warn(fields, 'the kernel refused an operation; it is tried again with growing delays'),
    );
    tellOfEach(told(true), (fields) =>
      log.warn(
        fields,
        'the kernel refused an operation, which waiting does not mend; it is tried again when it changes and with each resync',
      ),
    );
  }
}
