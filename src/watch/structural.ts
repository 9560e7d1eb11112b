import type { EndpointSlice } from '../model/endpoint.js';

/** Whether two values of plain data (primitives, arrays, records) are alike all the way down. */
export const sameStructure = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) return sameList(a, b);
  const left = Object.entries(a);
  const right = b as Readonly<Record<string, unknown>>;
  return (
    left.length === Object.keys(b).length &&
    left.every(([name, value]) => Object.hasOwn(b, name) && sameStructure(value, right[name]))
  );
};

const sameList = (a: object, b: object): boolean =>
  Array.isArray(a) &&
  Array.isArray(b) &&
  a.length === b.length &&
  a.every((item, index) => sameStructure(item, b[index]));

/** Whether two EndpointSlices say the same, whenever that came to be so. */
export const sameSlice = (a: EndpointSlice | undefined, b: EndpointSlice | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && sameStructure({ ...a, triggeredAt: b.triggeredAt }, b));
