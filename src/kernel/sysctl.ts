import { readFileSync, writeFileSync } from 'node:fs';
import { messageOf } from '../base/errors.js';

/** A number that the kernel keeps in a file. */
export interface KernelParameter {
  /** As people call it: `net.ipv4.conf.all.arp_ignore`. */
  readonly name: string;
  readonly file: string;
}

/** A setting below /proc/sys, by its dotted name. */
export const sysctl = (name: string): KernelParameter => ({
  name,
  file: `/proc/sys/${name.replaceAll('.', '/')}`,
});

/** `absent`: this kernel has no such setting, or does not show it to this network namespace. `unreadable`: it is no number, or not for us to read. */
export type KernelParameterValue = number | 'absent' | 'unreadable';

// Synchronous on purpose: a thread of the pool could be in another network namespace.

/** Reads a setting; never throws. */
export const readKernelParameter = ({ file }: KernelParameter): KernelParameterValue => {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return /^-?\d+$/.test(text) ? Number(text) : 'unreadable';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : 'unreadable';
  }
};

/** Writes a setting. Gives undefined, or why the kernel refused. */
export const writeKernelParameter = ({ file }: KernelParameter, value: number): string | undefined => {
  try {
    writeFileSync(file, String(value), { flag: 'r+' });
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
};
