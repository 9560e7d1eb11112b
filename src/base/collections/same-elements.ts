/** Whether two sets hold the same elements. */
export const sameElements = <T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean =>
  a.size === b.size && [...a].every((element) => b.has(element));
