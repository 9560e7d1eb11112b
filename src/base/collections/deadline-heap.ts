interface Deadline<Item> {
  readonly at: number;
  readonly item: Item;
}

/**
 * A heap of items by the time when they are due. An item is never removed: the owner of the heap says which deadlines still
 * hold, and the others are dropped when they come to the top.
 */
export class DeadlineHeap<Item> {
  readonly #heap: Deadline<Item>[] = [];

  constructor(private readonly holds: (item: Item, at: number) => boolean) {}

  push(item: Item, at: number): void {
    const heap = this.#heap;
    heap.push({ at, item });
    let index = heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfLater(parent, index)) return;
      index = parent;
    }
  }

  /** The earliest deadline that holds; undefined if none does. */
  get next(): number | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.holds(top.item, top.at)) return top.at;
      this.#pop();
    }
    return undefined;
  }

  /** Takes the items whose deadlines hold and have come. */
  takeDue(now: number): readonly Item[] {
    const due: Item[] = [];
    for (let at = this.next; at !== undefined && at <= now; at = this.next) {
      const top = this.#pop();
      if (top !== undefined) due.push(top.item);
    }
    return due;
  }

  #pop(): Deadline<Item> | undefined {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    heap[0] = last;
    this.#sink();
    return top;
  }

  #sink(): void {
    const heap = this.#heap;
    for (let index = 0; ; ) {
      const left = 2 * index + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && this.#isLater(left, right) ? right : left;
      if (!this.#swapIfLater(index, child)) return;
      index = child;
    }
  }

  #isLater(a: number, b: number): boolean {
    return (this.#heap[a]?.at ?? Infinity) > (this.#heap[b]?.at ?? Infinity);
  }

  #swapIfLater(a: number, b: number): boolean {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (first === undefined || second === undefined || first.at <= second.at) return false;
    this.#heap[a] = second;
    this.#heap[b] = first;
    return true;
  }
}
