import type { DriftCounters } from '../../apply/counters/drift-counters.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { KernelParameter } from '../../kernel/sysctl.js';
import {
  planKernelSettings,
  refusalText,
  type ConfiguredKernelSettings,
  type KernelSettingChange,
  type KernelFacts,
} from './kernel-settings.js';

export interface SysctlControllerParts {
  readonly settings: () => ConfiguredKernelSettings;
  readonly facts: KernelFacts;
  /** Returns undefined, or why the kernel refused. */
  readonly write: (setting: KernelParameter, value: number | string) => string | undefined;
  readonly drift: Pick<DriftCounters, 'count'>;
  readonly log: Logger;
}

/**
 * Checks the kernel settings again, as another program may have changed them. Required and kept settings are restored; any other
 * is only logged, as the change may be intended.
 */
export class SysctlController {
  readonly #differences = new StateLog();

  constructor(private readonly parts: SysctlControllerParts) {}

  check(): void {
    const { settings, facts } = this.parts;
    const { changes } = planKernelSettings(settings(), facts);
    const differing = new Set(changes.map(({ setting }) => setting.name));
    this.#differences.endOthers(differing);
    for (const change of changes) {
      if (change.required === true || change.kept === true) this.#restore(change);
      else this.#report(change, `the value is ${change.previous}, not ${change.value}; ${change.why}`);
    }
  }

  #restore(change: KernelSettingChange): void {
    const { write, drift, log } = this.parts;
    const { setting, value, previous } = change;
    const reason = write(setting, value);
    if (reason !== undefined) return this.#report(change, refusalText(change, reason));
    drift.count('kernel-setting', 'differs');
    log.warn(
      { event: 'kernel-setting-restored', sysctl: setting.name, before: previous, now: value },
      'Kernel setting changed by another program; restored',
    );
  }

  #report({ setting }: KernelSettingChange, problem: string): void {
    this.#differences.begin(setting.name, problem, () =>
      this.parts.log.warn(
        { event: 'kernel-setting-differs', sysctl: setting.name, problem },
        'Kernel setting differs from the configuration; not changed',
      ),
    );
  }
}
