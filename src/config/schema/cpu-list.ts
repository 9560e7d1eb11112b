const largestCpu = 8191; // NR_CPUS_DEFAULT of the largest builds

const range = /^(\d+)(?:-(\d+))?$/;

/** The numbers of one item of a list, `4` or `0-3`; undefined for other text. */
const cpusOf = (item: string): readonly number[] | undefined => {
  const [, from = '', to = from] = range.exec(item.trim()) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || last < first || last > largestCpu) return undefined;
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
};

/**
 * A list of CPUs as the kernel prints it (`%*pbl`): `0-3,8` for `8,0-2,3`. Undefined for text that is not a list of CPUs.
 */
export const parseCpuList = (text: string): string | undefined => {
  const items = text.split(',').map(cpusOf);
  if (!items.every((item) => item !== undefined)) return undefined;
  const ranges: [number, number][] = [];
  for (const cpu of [...new Set(items.flat())].toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === cpu - 1) last[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
};
