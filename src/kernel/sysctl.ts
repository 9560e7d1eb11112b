import { readFileSync, writeFileSync } from 'node:fs';
import { messageOf } from '../base/errors.js';

/** A kernel setting. */
export interface KernelParameter {
  /** `net.ipv4.conf.all.arp_ignore`. */
  readonly name: string;
  readonly file: string;
  /** The value is text, such as `0-3` or `3 50`, not one number. */
  readonly isText?: true;
}

/** A setting below /proc/sys, by its dotted name. */
export const sysctl = (name: string): KernelParameter => ({
  name,
  file: `/proc/sys/${name.replaceAll('.', '/')}`,
});

/** The same with a text as its value. */
export const textSysctl = (name: string): KernelParameter => ({ ...sysctl(name), isText: true });

/** The value of a setting with `isText`; numbers in it are separated by one space. */
export interface KernelText {
  readonly text: string;
}

/** `absent`: the kernel has no such setting, or hides it from this network namespace. `unreadable`: it is no number, or reading it is not permitted. */
export type KernelParameterValue = number | KernelText | 'absent' | 'unreadable';

/** A value in a text; '""' for an empty one. */
export const parameterText = (value: KernelParameterValue | undefined): string => {
  if (typeof value === 'object') return value.text === '' ? '""' : value.text;
  return String(value ?? 'absent');
};

// Synchronous, because a thread of the pool may be in another network namespace.

/** Reads a setting; never throws. */
export const readKernelParameter = ({ file, isText }: KernelParameter): KernelParameterValue => {
  try {
    const text = readFileSync(file, 'utf8').trim();
    if (isText) return { text: text.replaceAll(/\s+/g, ' ') };
    return /^-?\d+$/.test(text) ? Number(text) : 'unreadable';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : 'unreadable';
  }
};

/** Writes a setting. Undefined where that succeeded; otherwise the reason. */
export const writeKernelParameter = (
  { file }: KernelParameter,
  value: number | string,
): string | undefined => {
  try {
    writeFileSync(file, String(value), { flag: 'r+' });
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
};
