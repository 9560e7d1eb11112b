import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** The number of CPUs in a kernel list, as `0-3,8`; undefined for other text. */
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

/** The number of online CPUs of the machine, even if this process may use only some; without sysfs, those that it may use. */
export const machineCpus = (): number => onlineCpus() ?? availableParallelism();
