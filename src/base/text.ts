/** Text for people: a long one is cut and its length appended. */
export const shorten = (text: string, maxLength = 200): string =>
  text.length <= maxLength ? text : `${text.slice(0, maxLength)}… (${text.length} characters)`;

/** The same as a JSON string. */
export const quote = (text: unknown): string =>
  JSON.stringify(typeof text === 'string' ? shorten(text) : text);

/** `1 chain`, `2 chains`, `2 addresses`. */
export const formatCount = (number: number, word: string): string =>
  `${number} ${word}${number === 1 ? '' : word.endsWith('s') ? 'es' : 's'}`;

/** Characters that a terminal executes instead of displaying: controls, line separators and text direction marks. */
const controlCharacters = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

const escapeCharacter = (letter: string): string =>
  `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A quick check that accepts almost every text. */
const printableAscii = /^[ -~]*$/;

/** Text for one line of a terminal, with control characters escaped: names and messages may come from other users. */
export const printable = (text: string): string =>
  printableAscii.test(text) ? text : text.replaceAll(controlCharacters, escapeCharacter);

/** The same for several lines. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');
