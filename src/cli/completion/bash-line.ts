/** A command line up to the cursor, as bash reads it. */
export interface BashLine {
  /** Without quotes and escapes. */
  readonly words: readonly string[];
  /** The word at the cursor; empty after a space. */
  readonly current: string;
  /** As it is written. */
  readonly written: string;
}

/** Splits the line before the cursor into words. Expansions stay as they are: their value is unknown. */
export const parseBashLine = (line: string): BashLine => {
  const words: string[] = [];
  let word = '';
  let began = -1;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at] ?? '';
    if (quote === '' && /\s/.test(letter)) {
      if (began >= 0) words.push(word);
      word = '';
      began = -1;
      continue;
    }
    if (began < 0) began = at;
    if (quote === letter) quote = '';
    else if (quote === '' && (letter === "'" || letter === '"')) quote = letter;
    else if (letter === '\\' && quote !== "'") word += line[(at += 1)] ?? '';
    else word += letter;
  }
  return { words, current: word, written: began < 0 ? '' : line.slice(began) };
};

/** The part of a word that bash replaces: the part after the last word break, unless the word is quoted. */
export const replacedPart = (word: string, { written }: BashLine, wordBreaks: string): string => {
  if (/^['"]/.test(written)) return word;
  const last = Math.max(
    ...[':', '='].map((letter) => (wordBreaks.includes(letter) ? written.lastIndexOf(letter) : -1)),
  );
  return word.slice(written.slice(0, last + 1).replaceAll('\\', '').length);
};
