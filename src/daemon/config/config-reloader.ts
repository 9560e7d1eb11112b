import { readFileSync } from 'node:fs';
import { SerialQueue } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { configDigest } from '../../config/configuration-document.js';
import { settingsChange } from '../../config/settings-change.js';
import type { Settings } from '../../config/settings.js';
import type { ChangeableSettings } from './live-settings.js';
import type { SyncLoop } from '../sync/sync-loop.js';
import { watchFiles } from './watch-files.js';

export interface ConfigReloaderParts {
  readonly settings: ChangeableSettings;
  /** Reads flags and configuration files as at the start; throws if they are invalid. */
  readonly loadSettings: () => Settings;
  /** Prepares the kernel for settings before they take effect; rejects if the kernel refuses. */
  readonly prepareKernel: (next: Settings, before: Settings) => Promise<void>;
  readonly syncLoop: Pick<SyncLoop, 'changeSettings'>;
  readonly log: Logger;
}

const contentOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return messageOf(error);
  }
};

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Applies a changed configuration file as far as a running process can. An invalid file changes nothing. */
export class ConfigReloader {
  readonly #queue = new SerialQueue();
  /** Undefined before the first check: the files may have changed since the settings were loaded. */
  #lastContents: readonly string[] | undefined;
  #stopped = false;

  constructor(private readonly parts: ConfigReloaderParts) {}

  /** Follows the configuration files. Disposing waits for the check in progress. */
  start(): AsyncDisposable {
    const watching = watchFiles(this.parts.settings.now.configFiles, () => void this.check());
    void this.check();
    return {
      [Symbol.asyncDispose]: async () => {
        watching[Symbol.dispose]();
        this.#stopped = true;
        await this.#queue.run(async () => undefined);
      },
    };
  }

  /** Reads the files and applies them if they differ from the last check. Never rejects. */
  check(): Promise<void> {
    return this.#queue.run(async () => {
      const contents = this.#contents();
      if (this.#stopped || same(contents, this.#lastContents)) return;
      const isFirst = this.#lastContents === undefined;
      this.#lastContents = contents;
      try {
        await this.#apply(this.parts.loadSettings(), isFirst);
      } catch (error) {
        this.parts.log.error(
          {
            event: 'configuration-rejected',
            problem: messageOf(error),
            config: configDigest(this.parts.settings.now),
          },
          'Configuration file changed but is not usable; the previous configuration stays in force',
        );
      }
    });
  }

  #contents(): readonly string[] {
    return this.parts.settings.now.configFiles.map(contentOf);
  }

  async #apply(next: Settings, isFirst: boolean): Promise<void> {
    const { settings, log } = this.parts;
    const before = settings.now;
    const change = settingsChange(before, next);
    if (change.changed.length > 0) await this.#replaceSettings(change.settings);
    for (const warning of next.warnings)
      if (!before.warnings.includes(warning))
        log.warn({ event: 'configuration-warning', warning }, 'Configuration warning');
    const config = configDigest(settings.now);
    if (change.fixed.length > 0)
      log.warn(
        { event: 'configuration-needs-restart', fields: change.fixed, config },
        'Configuration file changed; some fields take effect after a restart',
      );
    if (change.changed.length > 0)
      log.info(
        { event: 'configuration-changed', changed: change.changed, config },
        'Configuration file changed; the new configuration is in force',
      );
    else if (change.fixed.length === 0 && !isFirst)
      log.info(
        { event: 'configuration-unchanged', config },
        'Configuration file changed; no effective change',
      );
  }

  async #replaceSettings(next: Settings): Promise<void> {
    const { settings, prepareKernel, syncLoop } = this.parts;
    await syncLoop.changeSettings(async () => {
      const before = settings.now;
      await prepareKernel(next, before);
      settings.replace(next);
    });
  }
}
