import type { Statistics } from '../../model/virtual-server.js';

const totalNames = ['connections', 'inPackets', 'outPackets', 'inBytes', 'outBytes'] as const;

/** The kernel's totals: connections, packets in and out, bytes in and out. */
export type Totals = readonly number[];

export const totalsOf = (statistics: Statistics): Totals =>
  totalNames.map((name) => Number(statistics[name]));

export const zeroTotals = (): number[] => totalNames.map(() => 0);

/** A total that decreased was reset. */
const growth = (before: number, now: number): number => (now >= before ? now - before : now);

/** Adds to sums what the totals have grown by. */
export const addGrowth = (sums: number[], before: Totals | undefined, now: Totals): void => {
  for (const [index, total] of now.entries())
    sums[index] = (sums[index] ?? 0) + growth(before?.[index] ?? 0, total);
};
