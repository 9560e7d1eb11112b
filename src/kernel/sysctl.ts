import { readFileSync, writeFileSync } from 'node:fs';
import { BaseError, messageOf } from '../base/errors.js';

/** A kernel setting below /proc/sys, by its dotted name, as `net.ipv4.conf.all.arp_ignore`, and what it is to be. */
export interface Sysctl {
  readonly name: string;
  readonly value: number;
}

/** A setting could not be read or written; the message names it and says what to do. */
export class SysctlError extends BaseError {}

/** A write that was made: `before` is undefined where the old value was no number. */
export interface SysctlChange extends Sysctl {
  readonly before: number | undefined;
}

const fileOf = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`;

const read = (name: string): number | undefined => {
  const text = readFileSync(fileOf(name), 'utf8').trim();
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
};

/**
 * Sets what differs, and gives the changes. Synchronous on purpose: a thread of the pool could be in another network
 * namespace. Throws SysctlError.
 */
export const setSysctls = (wanted: readonly Sysctl[]): readonly SysctlChange[] =>
  wanted.flatMap(({ name, value }) => {
    try {
      const before = read(name);
      if (before === value) return [];
      writeFileSync(fileOf(name), String(value));
      return [{ name, value, before }];
    } catch (error) {
      throw new SysctlError(
        `cannot set ${name} to ${value}: ${messageOf(error)}. Run with the right to write /proc/sys (a privileged init container can do it once), or set it on the node: sysctl -w ${name}=${value}`,
      );
    }
  });
