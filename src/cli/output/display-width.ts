import stringWidth from 'string-width';

/** ASCII, Latin and arrows, one column each: nearly all texts, which need no segmentation. */
const narrow = /^[ -~\u00a0-\u02ff\u2190-\u21ff]*$/;

/** How many columns a terminal needs for a text. */
export const displayWidth = (text: string): number => (narrow.test(text) ? text.length : stringWidth(text));

/** Made where it is needed, as it loads much data. */
const segments = (text: string): Intl.Segments =>
  new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text);

/** The beginning of a text that fits into this many columns. */
export const cutToWidth = (text: string, width: number): string => {
  if (narrow.test(text)) return text.slice(0, width);
  let cut = '';
  let room = width;
  for (const { segment } of segments(text)) {
    room -= stringWidth(segment);
    if (room < 0) break;
    cut += segment;
  }
  return cut;
};
