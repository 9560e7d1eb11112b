/** Of one kind of news, how many objects are told of one by one: a whole family may be refused at once. */
const most = 10;

/** Tells of each object; of many only of the first ones, and then how many more there are. */
export const tellOfEach = (objects: readonly object[], tell: (fields: object) => void): void => {
  for (const fields of objects.slice(0, most)) tell(fields);
  if (objects.length > most) tell({ more: objects.length - most });
};
