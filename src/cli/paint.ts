import type { Paint } from './columns.js';

/** The few looks we use. */
export interface Palette {
  readonly strong: Paint;
  readonly faint: Paint;
  readonly warning: Paint;
  readonly danger: Paint;
  readonly success: Paint;
}

const plain: Paint = (text) => text;

/** Everything as it is: for files and pipes. */
export const noPalette: Palette = {
  strong: plain,
  faint: plain,
  warning: plain,
  danger: plain,
  success: plain,
};

const sequence =
  (code: number): Paint =>
  (text) =>
    `\u001b[${code}m${text}\u001b[0m`;

/** What --color says. */
export const colorWishes = ['auto', 'always', 'never'] as const;
export type ColorWish = (typeof colorWishes)[number];

type Environment = Readonly<Record<string, string | undefined>>;

/** What was asked for on the command line counts, then FORCE_COLOR and NO_COLOR (no-color.org), as for Node itself; then what there is. */
const paints = (isTerminal: boolean, environment: Environment, wish: ColorWish): boolean => {
  if (wish !== 'auto') return wish === 'always';
  const { FORCE_COLOR: forced, NO_COLOR: none, TERM: terminal } = environment;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && !none && terminal !== 'dumb';
};

/** Colours on a terminal, unless somebody wishes otherwise. */
export const paletteFor = (
  { isTTY = false }: { readonly isTTY?: boolean },
  environment: Environment,
  wish: ColorWish = 'auto',
): Palette =>
  paints(isTTY, environment, wish)
    ? {
        strong: sequence(1),
        faint: sequence(2),
        warning: sequence(33),
        danger: sequence(31),
        success: sequence(32),
      }
    : noPalette;
