import type { LogFields } from './log.js';

/** At most so many objects of one event are logged one by one: a whole family may be refused at once. */
const maximumEntries = 10;

/** Logs an event of each object; of many objects only the first ones, and then how many more there are. */
export const logSampled = (
  event: string,
  objects: readonly object[],
  log: (fields: LogFields) => void,
): void => {
  for (const fields of objects.slice(0, maximumEntries)) log({ event, ...fields });
  if (objects.length > maximumEntries) log({ event, more: objects.length - maximumEntries });
};

/** The first keys, for a log line; undefined for an empty list. */
export const firstOf = <Key>(keys: ReadonlySet<Key>): readonly Key[] | undefined =>
  keys.size === 0 ? undefined : [...keys].slice(0, maximumEntries);
