import type { Fragment } from './render/fragment.js';

/**
 * The older Service comes first, then the lower namespace and name. Of two Services that claim the same
 * object, the first one gets it.
 */
const comparePrecedence = (a: Fragment, b: Fragment): number =>
  a.createdAt - b.createdAt || (a.service < b.service ? -1 : Number(a.service > b.service));

/** The Services that claim one object, the owner first; never empty. */
export type Claims = readonly [Fragment, ...Fragment[]];

const withClaim = (claims: Claims | undefined, fragment: Fragment): Claims =>
  claims === undefined
    ? [fragment]
    : ([...claims, fragment].toSorted(comparePrecedence) as [Fragment, ...Fragment[]]);

const withoutClaim = (claims: Claims | undefined, fragment: Fragment): Claims | undefined => {
  const [first, ...rest] = (claims ?? []).filter((addClaims) => addClaims !== fragment);
  return first === undefined ? undefined : [first, ...rest];
};

/** Adds the Service's claim on objects of which one Service owns each. */
export const claim = <Key>(claims: Map<Key, Claims>, keys: Iterable<Key>, fragment: Fragment): void => {
  for (const key of keys) claims.set(key, withClaim(claims.get(key), fragment));
};

export const removeClaims = <Key>(
  claims: Map<Key, Claims>,
  keys: Iterable<Key>,
  fragment: Fragment,
): void => {
  for (const key of keys) {
    const left = withoutClaim(claims.get(key), fragment);
    if (left === undefined) claims.delete(key);
    else claims.set(key, left);
  }
};

/**
 * Adds a claim on objects that Services share. The claims stay unsorted, because one object may have many.
 */
export const addShared = <Key>(
  claimantsByKey: Map<Key, Fragment[]>,
  keys: Iterable<Key>,
  fragment: Fragment,
): void => {
  for (const key of keys) {
    const claimants = claimantsByKey.get(key);
    if (claimants === undefined) claimantsByKey.set(key, [fragment]);
    else claimants.push(fragment);
  }
};

export const removeShared = <Key>(
  claimantsByKey: Map<Key, Fragment[]>,
  keys: Iterable<Key>,
  fragment: Fragment,
): void => {
  for (const key of keys) {
    const claimants = claimantsByKey.get(key) ?? [];
    const index = claimants.indexOf(fragment);
    const last = claimants.pop();
    if (last !== undefined && last !== fragment) claimants[index] = last;
    if (claimants.length === 0) claimantsByKey.delete(key);
  }
};
