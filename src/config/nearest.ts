/** The number of letters to insert, delete, replace or swap with a neighbour that make one word the other. */
const distance = (a: string, b: string): number => {
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

/** The candidate that was most likely meant by a mistyped word; undefined where none is near. */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  let best: { candidate: string; off: number } | undefined;
  for (const candidate of candidates) {
    const off = distance(word.toLowerCase(), candidate.toLowerCase());
    const longest = Math.max(word.length, candidate.length);
    if (off <= Math.max(1, Math.floor(longest * 0.4)) && off < (best?.off ?? Number.POSITIVE_INFINITY))
      best = { candidate, off };
  }
  return best?.candidate;
};
