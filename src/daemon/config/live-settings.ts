import type { Settings } from '../../config/settings.js';

export type SettingsListener = (now: Settings, before: Settings) => void;

/** The settings in force. A changed configuration file replaces them while the daemon runs: read `now` at each use. */
export interface LiveSettings {
  readonly now: Settings;
  /** Calls the listener after each change, in the order of registration; it must not throw. */
  onChange(listener: SettingsListener): void;
}

/** The settings as the configuration reloader replaces them. */
export class ChangeableSettings implements LiveSettings {
  #now: Settings;
  readonly #listeners: SettingsListener[] = [];

  constructor(initial: Settings) {
    this.#now = initial;
  }

  get now(): Settings {
    return this.#now;
  }

  onChange(listener: SettingsListener): void {
    this.#listeners.push(listener);
  }

  replace(next: Settings): void {
    const before = this.#now;
    this.#now = next;
    for (const listener of this.#listeners) listener(next, before);
  }
}
