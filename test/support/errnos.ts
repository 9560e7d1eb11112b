import assert from 'node:assert/strict';
import { errnoName } from '../../src/netlink/errno.js';

const numbers = new Map(Array.from({ length: 525 }, (_, number) => [errnoName(number), number]));

/** The number of an errno. */
export const errnoNumber = (name: string): number => {
  const number = numbers.get(name);
  assert.ok(number !== undefined, name);
  return number;
};
