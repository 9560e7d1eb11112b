/** The function, which computes the result for each list of arguments once. Arguments must have distinct JSON. */
export const memoized = <Arguments extends readonly unknown[], Result>(
  compute: (...args: Arguments) => Result,
): ((...args: Arguments) => Result) => {
  const known = new Map<string, { readonly result: Result }>();
  return (...args) => {
    const key = JSON.stringify(args);
    const found = known.get(key) ?? { result: compute(...args) };
    known.set(key, found);
    return found.result;
  };
};
