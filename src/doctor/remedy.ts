import { sysctlCommand } from '../base/sysctl-command.js';

/** Something to do about a finding. */
export interface Remedy {
  /** A sentence in the imperative. */
  readonly advice: string;
  /** One line for a shell, to be run as root on the node. */
  readonly command?: string;
}

export const advise = (advice: string, command?: string): Remedy =>
  command === undefined ? { advice } : { advice, command };

/** Shows on the node what this process cannot see. */
export const runOnNode = (command: string): Remedy => advise('Run as root on the node:', command);

/** Another check reports the cause. */
export const seeChecks = (...ids: readonly string[]): Remedy =>
  advise(`See the ${ids.length === 1 ? 'check' : 'checks'} ${ids.join(', ')}.`);

export const setKernelParameter = (name: string, value: number | string): Remedy =>
  advise(`Set ${name} to ${value}.`, sysctlCommand(name, value));

export const loadModule = (module: string): Remedy =>
  advise(`Load the kernel module ${module}.`, `modprobe ${module}`);

/** All remedies in one line: what `-o json` has as `remedy`. */
export const remedyText = (remedies: readonly Remedy[]): string =>
  remedies
    .map(({ advice, command }) => {
      if (command === undefined) return advice;
      return advice.endsWith(':') ? `${advice} ${command}` : `${advice} Run: ${command}`;
    })
    .join(' ');
