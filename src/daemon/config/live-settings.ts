import type { Settings } from '../../config/settings.js';

export type SettingsListener = (now: Settings, before: Settings) => void;

/** The settings in force, which a changed config file may exchange while the daemon runs: ask for `now` where they are used. */
export interface LiveSettings {
  readonly now: Settings;
  /** The listener is called after each change, in the order of registration; it must not throw. */
  onChange(listener: SettingsListener): void;
}

/** Those that the owner of the config files exchanges. */
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
