/** A text for people: of a long one the beginning, and how long it is. */
export const shorten = (text: string, maxLength = 200): string =>
  text.length <= maxLength ? text : `${text.slice(0, maxLength)}… (${text.length} characters)`;

/** The same in quotes, as JSON has it. */
export const quote = (text: unknown): string =>
  JSON.stringify(typeof text === 'string' ? shorten(text) : text);

/** `1 chain`, `2 chains`, `2 addresses`. */
export const formatCount = (number: number, word: string): string =>
  `${number} ${word}${number === 1 ? '' : word.endsWith('s') ? 'es' : 's'}`;

/** What a terminal obeys instead of showing it: controls, line separators, and what turns the direction of writing. */
const controlCharacters = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

const escapeCharacter = (letter: string): string =>
  `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Nearly all texts, and quickly found to be harmless. */
const printableAscii = /^[ -~]*$/;

/** The same in one line for a terminal: what others have written, as the name of a pod, gives it no orders. */
export const printable = (text: string): string =>
  printableAscii.test(text) ? text : text.replaceAll(controlCharacters, escapeCharacter);

/** The same of several lines. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');
