import type { DriftCounters } from '../apply/drift-counters.js';
import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import type { KernelNumber } from '../kernel/sysctl.js';
import { planKernelSettings, refusalText, type KernelChange, type KernelFacts } from './kernel-settings.js';

export interface KernelSettingsCareParts {
  readonly settings: () => Pick<Settings, 'strictArp' | 'conntrack'>;
  readonly facts: KernelFacts;
  /** Gives undefined, or why the kernel refused. */
  readonly write: (setting: KernelNumber, value: number) => string | undefined;
  readonly drift: Pick<DriftCounters, 'count'>;
  readonly log: Logger;
}

/**
 * Looks at the kernel settings again, as somebody may have changed them since the start: what we cannot do without is set
 * again, and of the rest it is told once that it differs, for whoever set it may have meant it.
 */
export class KernelSettingsCare {
  /** By setting, what was told last. */
  readonly #told = new Map<string, string>();

  constructor(private readonly parts: KernelSettingsCareParts) {}

  look(): void {
    const { settings, facts } = this.parts;
    const { changes } = planKernelSettings(settings(), facts);
    const differing = new Set(changes.map(({ setting }) => setting.name));
    for (const name of this.#told.keys()) if (!differing.has(name)) this.#told.delete(name);
    for (const change of changes) {
      if (change.needed === true) this.#setAgain(change);
      else this.#tell(change, `it is ${change.before}, not ${change.value}; ${change.why}`);
    }
  }

  #setAgain(change: KernelChange): void {
    const { write, drift, log } = this.parts;
    const { setting, value, before } = change;
    const reason = write(setting, value);
    if (reason !== undefined) return this.#tell(change, refusalText(change, reason));
    drift.count('kernel-setting', 'differs');
    log.warn({ sysctl: setting.name, before, now: value }, 'somebody changed a kernel setting; set it again');
  }

  #tell({ setting }: KernelChange, problem: string): void {
    if (this.#told.get(setting.name) === problem) return;
    this.#told.set(setting.name, problem);
    this.parts.log.warn(
      { sysctl: setting.name, problem },
      'a kernel setting is not as it is to be; it is left',
    );
  }
}
