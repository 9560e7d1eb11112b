import type { Paint } from './columns.js';

/** The few looks we use. */
export interface Palette {
  readonly strong: Paint;
  readonly faint: Paint;
  readonly warning: Paint;
  readonly danger: Paint;
}

const plain: Paint = (text) => text;

/** Everything as it is: for files and pipes. */
export const noPalette: Palette = { strong: plain, faint: plain, warning: plain, danger: plain };

const sequence =
  (code: number): Paint =>
  (text) =>
    `\u001b[${code}m${text}\u001b[0m`;

/** Colours on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb. */
export const paletteFor = (
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Palette =>
  stream.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb'
    ? { strong: sequence(1), faint: sequence(2), warning: sequence(33), danger: sequence(31) }
    : noPalette;
