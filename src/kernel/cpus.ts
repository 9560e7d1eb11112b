import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** How many CPUs a list of the kernel holds, as `0-3,8`; undefined where it is none. */
export const countCpuList = (text: string): number | undefined => {
  const ranges = text
    .trim()
    .split(',')
    .map((range) => /^(\d+)(?:-(\d+))?$/.exec(range));
  let count = 0;
  for (const range of ranges) {
    if (range === null) return undefined;
    count += Number(range[2] ?? range[1]) - Number(range[1]) + 1;
  }
  return count;
};

const onlineCpus = (): number | undefined => {
  try {
    return countCpuList(readFileSync('/sys/devices/system/cpu/online', 'utf8'));
  } catch {
    return undefined; // no sysfs here
  }
};

/** The CPUs of the machine that are on, also where we may use a part of them only; without sysfs, those that we may use. */
export const machineCpus = (): number => onlineCpus() ?? availableParallelism();
