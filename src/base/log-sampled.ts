/** How many objects of one kind of event get their own log line: the kernel may refuse a whole address family at once. */
const maximumEntries = 10;

/** Logs each object; of many only the first ones, then the number of the others. */
export const logSampled = (objects: readonly object[], log: (fields: object) => void): void => {
  for (const fields of objects.slice(0, maximumEntries)) log(fields);
  if (objects.length > maximumEntries) log({ more: objects.length - maximumEntries });
};

/** The first keys, for a log line; undefined for an empty list. */
export const firstOf = <Key>(keys: ReadonlySet<Key>): readonly Key[] | undefined =>
  keys.size === 0 ? undefined : [...keys].slice(0, maximumEntries);
