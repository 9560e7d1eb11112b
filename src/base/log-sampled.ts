/** Of one kind of news, how many objects are told of one by one: a whole family may be refused at once. */
const maximumEntries = 10;

/** Tells of each object; of many only of the first ones, and then how many more there are. */
export const logSampled = (objects: readonly object[], log: (fields: object) => void): void => {
  for (const fields of objects.slice(0, maximumEntries)) log(fields);
  if (objects.length > maximumEntries) log({ more: objects.length - maximumEntries });
};

/** The first keys, for a log line; undefined if there is none. */
export const firstOf = <Key>(keys: ReadonlySet<Key>): readonly Key[] | undefined =>
  keys.size === 0 ? undefined : [...keys].slice(0, maximumEntries);
