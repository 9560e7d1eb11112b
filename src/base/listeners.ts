/** Functions to call when something happens, in the order in which they were added. */
export class Listeners<Values extends readonly unknown[] = []> {
  readonly #listeners: ((...values: Values) => void)[] = [];

  /** The listener must not throw. */
  add(listener: (...values: Values) => void): void {
    this.#listeners.push(listener);
  }

  /** Does nothing while no listener is there. */
  readonly notify = (...values: Values): void => {
    for (const listener of this.#listeners) listener(...values);
  };
}
