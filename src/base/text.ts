/** A text for people: of a long one the beginning, and how long it is. */
export const shorten = (text: string, most = 200): string =>
  text.length <= most ? text : `${text.slice(0, most)}… (${text.length} characters)`;

/** The same in quotes, as JSON has it. */
export const quote = (text: unknown): string =>
  JSON.stringify(typeof text === 'string' ? shorten(text) : text);

/** `1 chain`, `2 chains`, `2 addresses`. */
export const count = (number: number, word: string): string =>
  `${number} ${word}${number === 1 ? '' : word.endsWith('s') ? 'es' : 's'}`;
