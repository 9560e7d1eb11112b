/** Time between two lines, milliseconds. */
const intervalMilliseconds = 100;

const clearLine = '\r\u001b[K';

/** Shows on a terminal how many nodes have answered; elsewhere nothing. Disposing removes the line. */
export class Progress implements Disposable {
  #answered = 0;
  #drawnAt = performance.now();
  #isShown = false;

  constructor(private readonly total: number) {}

  step(): void {
    this.#answered += 1;
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#drawnAt < intervalMilliseconds) return;
    this.#drawnAt = now;
    this.#isShown = true;
    process.stderr.write(`${clearLine}${this.#answered} of ${this.total} nodes answered`);
  }

  [Symbol.dispose](): void {
    if (this.#isShown) process.stderr.write(clearLine);
  }
}
