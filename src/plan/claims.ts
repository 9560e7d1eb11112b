import type { Fragment } from './render/fragment.js';

/**
 * The older Service comes first, then the lower namespace and name. Of two Services that claim the same
 * object, the first one gets it.
 */
const comparePrecedence = (a: Fragment, b: Fragment): number =>
  a.createdAt - b.createdAt || (a.service < b.service ? -1 : Number(a.service > b.service));

/** The Services that claim one object, the owner first; never empty. */
export type Claims = readonly [Fragment, ...Fragment[]];

/** The claim of one Service, which all objects share that no other Service claims. Never changed. */
export type SoleClaim = readonly [Fragment];

const withClaim = (claims: Claims | undefined, sole: SoleClaim): Claims =>
  claims === undefined
    ? sole
    : ([...claims, ...sole].toSorted(comparePrecedence) as [Fragment, ...Fragment[]]);

const withoutClaim = (claims: Claims | undefined, fragment: Fragment): Claims | undefined => {
  if (claims?.length === 1 && claims[0] === fragment) return undefined;
  const [first, ...rest] = (claims ?? []).filter((addClaims) => addClaims !== fragment);
  return first === undefined ? undefined : [first, ...rest];
};

/** Adds the Service's claim on objects of which one Service owns each. */
export const claim = <Key>(claims: Map<Key, Claims>, keys: Iterable<Key>, sole: SoleClaim): void => {
  for (const key of keys) claims.set(key, withClaim(claims.get(key), sole));
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

/** The claims on objects that Services share: unsorted and changed in place, because one object may have many. */
export type SharedClaims<Key> = Map<Key, SoleClaim | Fragment[]>;

const isSole = (claims: SoleClaim | Fragment[]): claims is SoleClaim => claims.length === 1;

/** Adds a claim on objects that Services share. */
export const addShared = <Key>(claimants: SharedClaims<Key>, keys: Iterable<Key>, sole: SoleClaim): void => {
  for (const key of keys) {
    const claims = claimants.get(key);
    if (claims === undefined) claimants.set(key, sole);
    else if (isSole(claims)) claimants.set(key, [...claims, ...sole]);
    else claims.push(...sole);
  }
};

export const removeShared = <Key>(
  claimants: SharedClaims<Key>,
  keys: Iterable<Key>,
  fragment: Fragment,
): void => {
  for (const key of keys) {
    const claims = claimants.get(key);
    if (claims === undefined) continue;
    if (isSole(claims)) {
      if (claims[0] === fragment) claimants.delete(key);
      continue;
    }
    const index = claims.indexOf(fragment);
    const last = index < 0 ? undefined : claims.pop();
    if (last !== undefined && last !== fragment) claims[index] = last;
  }
};
