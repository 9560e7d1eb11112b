const weighted: ReadonlyMap<string, string> = new Map([
  ['rr', 'wrr'],
  ['lc', 'wlc'],
  ...['wrr', 'wlc', 'sed', 'nq', 'lblc', 'lblcr', 'twos'].map((name) => [name, name] as const),
]);

/**
 * The scheduler that distributes connections like this one, and by weight; undefined if there is none: it
 * assigns clients by hash or in another order, or is unknown.
 */
export const weightedScheduler = (name: string): string | undefined => weighted.get(name);
