/** Unicode 15, East_Asian_Width W and F, and what terminals show as an emoji: first and last of each range that is two columns wide. */
const wideRanges: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x2329, 0x232a],
  [0x23e9, 0x23ec],
  [0x23f0, 0x23f0],
  [0x23f3, 0x23f3],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18cff],
  [0x1aff0, 0x1b2fb],
  [0x1f200, 0x1f320],
  [0x20000, 0x3fffd],
];

const isWide = (code: number): boolean => wideRanges.some(([first, last]) => first <= code && code <= last);

/** An emoji by itself, or what the selector U+FE0F makes one. */
const emoji = /^\p{Emoji_Presentation}|^\p{Emoji}.*\ufe0f/u;

/** Combining marks, joiners, control and format characters alone. */
const zeroWidth = /^[\p{M}\p{Cc}\p{Cf}]*$/u;

let segmenter: Intl.Segmenter | undefined;

/** What a person takes for single letters. */
function* graphemes(text: string): Iterable<string> {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  for (const { segment } of segmenter.segment(text)) yield segment;
}

const graphemeWidth = (grapheme: string): number => {
  if (zeroWidth.test(grapheme)) return 0;
  return isWide(grapheme.codePointAt(0) ?? 0) || emoji.test(grapheme) ? 2 : 1;
};

/** ASCII, Latin, and the arrows that our own tables have: a column each. */
const narrow = /^[ -~\u00a0-\u02ff\u2190-\u21ff]*$/;

/** How many columns a terminal takes for a text. */
export const displayWidth = (text: string): number => {
  if (narrow.test(text)) return text.length;
  let width = 0;
  for (const grapheme of graphemes(text)) width += graphemeWidth(grapheme);
  return width;
};

/** The beginning of a text that takes at most so many columns. */
export const cutToWidth = (text: string, width: number): string => {
  if (narrow.test(text)) return text.slice(0, width);
  let cut = '';
  let room = width;
  for (const grapheme of graphemes(text)) {
    room -= graphemeWidth(grapheme);
    if (room < 0) break;
    cut += grapheme;
  }
  return cut;
};
