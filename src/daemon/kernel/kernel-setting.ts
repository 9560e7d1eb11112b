import type { KernelParameter } from '../../kernel/sysctl.js';

/** A kernel setting and its desired value. */
export interface KernelSetting {
  readonly setting: KernelParameter;
  readonly value: number | string;
  /** The reason; the end of a sentence. */
  readonly why: string;
  /** A higher value is accepted. */
  readonly isMinimum?: true;
  /** The daemon does not start without it. */
  readonly required?: true;
  /** Restored if another program changes it, as a required setting is. */
  readonly kept?: true;
  /** The version of Linux that has it first, such as `6.2`. */
  readonly since?: string;
  /** The configuration that leaves the kernel's value alone. */
  readonly avoidedBy?: string;
  /** Effective only if this setting has its desired value. */
  readonly dependsOn?: KernelParameter;
}
