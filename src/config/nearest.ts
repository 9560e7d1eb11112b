/** The number of letters to insert, delete, replace or swap to turn one word into the other. */
const editDistanceOf = (a: string, b: string): number => {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= a.length; row += 1) {
    rows.push([row]);
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = at(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const best = Math.min(replaced, at(row - 1, column) + 1, at(row, column - 1) + 1);
      rows[row]?.push(swapped ? Math.min(best, at(row - 2, column - 2) + 1) : best);
    }
  }
  return at(a.length, b.length);
};

/** How many letters of a word may differ. */
const maximumDistance = (longest: number): number => Math.max(1, Math.floor(longest * 0.4));

/** The candidate nearest to a mistyped word; undefined if none is near, or if more than `maximum` letters differ. */
export const nearest = <Candidate extends string>(
  word: string,
  candidates: Iterable<Candidate>,
  maximum = Number.POSITIVE_INFINITY,
): Candidate | undefined => {
  let best: Candidate | undefined;
  let bestDistance = maximum + 1;
  for (const candidate of candidates) {
    // The lengths alone rule out most candidates.
    if (Math.abs(word.length - candidate.length) >= bestDistance) continue;
    const editDistance = editDistanceOf(word.toLowerCase(), candidate.toLowerCase());
    if (
      editDistance >= bestDistance ||
      editDistance > maximumDistance(Math.max(word.length, candidate.length))
    )
      continue;
    best = candidate;
    bestDistance = editDistance;
  }
  return best;
};
