import { hash } from 'node:crypto';
import type { ObservedVirtualServer, TablePage } from '../state/observed-server.js';

interface Page extends TablePage {
  round: number;
  /** The virtual servers that it shows as they are known. */
  readonly servers: ObservedVirtualServer[];
  /** Whether it shows nothing else. */
  isPlain: boolean;
}

const isUnchanged = (page: Page): boolean => page.servers.every((server) => server.page === page);

/**
 * The pages of the kernel's table file that show only virtual servers as they are known. While neither such a page nor one of its
 * virtual servers changes, there is nothing to compare: on a quiet node that is almost every page.
 */
export class TablePages {
  /** By a digest of their bytes: pages of the previous round, and of this one. */
  #previous: ReadonlyMap<string, Page> = new Map();
  #current = new Map<string, Page>();
  #round = 0;
  /** The page that is being read. */
  #page: Page | undefined;
  #isRecognized = false;
  #digest = '';

  beginRound(): void {
    this.#round += 1;
    this.#current = new Map();
    this.#page = undefined;
  }

  /** Begins a page, which is undefined if it cannot be recognized. Returns whether it shows what is known. */
  begin(bytes: Buffer | undefined): boolean {
    this.#keep();
    this.#digest = bytes === undefined ? '' : hash('sha256', bytes, 'base64url');
    const previous = this.#previous.get(this.#digest);
    const known = previous !== undefined && isUnchanged(previous) ? previous : undefined;
    this.#page = known ?? { round: this.#round, servers: [], isPlain: bytes !== undefined };
    this.#page.round = this.#round;
    this.#isRecognized = known !== undefined;
    return this.#isRecognized;
  }

  /** The page shows the virtual server as it is known. */
  add(server: ObservedVirtualServer): void {
    if (this.#page === undefined) return;
    server.page = this.#page;
    this.#page.servers.push(server);
  }

  /** The virtual server at the end of the page goes on behind it. */
  cut(): void {
    const last = this.#isRecognized ? this.#page?.servers.at(-1) : undefined;
    if (last !== undefined) last.page = undefined;
    this.spoil();
  }

  /** The page shows something that must be compared in each round. */
  spoil(): void {
    if (this.#page !== undefined) this.#page.isPlain = false;
  }

  /** Whether a page of this round shows the virtual server as it is known. */
  show(server: ObservedVirtualServer): boolean {
    return server.page?.round === this.#round;
  }

  endRound(): void {
    this.#keep();
    this.#previous = this.#current;
  }

  #keep(): void {
    if (this.#page?.isPlain === true) this.#current.set(this.#digest, this.#page);
    this.#page = undefined;
  }
}
